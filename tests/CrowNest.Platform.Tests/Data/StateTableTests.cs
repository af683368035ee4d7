using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Sandboxes;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

public sealed class StateTableTests
{
    /// <summary>docs/reference/api.md 4.2, as stored states: every pair that is not listed is refused.</summary>
    private static readonly HashSet<(string From, string To)> SandboxChanges =
    [
        ("creating", "starting"), ("creating", "ready"), ("starting", "ready"), ("creating", "failed"), ("starting", "failed"),
        ("ready", "failed"), ("creating", "expiring"), ("starting", "expiring"), ("ready", "expiring"), ("expiring", "destroyed"),
    ];

    [Fact]
    public void SandboxStates_EveryPair_IsAllowedExactlyAsTheContractSays()
    {
        foreach (var to in SandboxStates.All)
        {
            Assert.Equal(
                SandboxChanges.Where(c => c.To == to).Select(c => c.From).Order(),
                SandboxStates.From(to).Order());
        }
    }

    [Fact]
    public void CommandStates_FinalState_IsLeftByNothing()
    {
        foreach (var to in CommandStates.All)
        {
            Assert.DoesNotContain(CommandStates.From(to), CommandStatus.IsFinal);
        }
    }

    [Fact]
    public void CommandStates_EveryFinalState_CanBeReachedFromEveryActiveOne()
    {
        foreach (var final in CommandStates.All.Where(CommandStatus.IsFinal))
        {
            Assert.Equal(["queued", "starting", "running"], CommandStates.From(final));
        }
    }

    [Fact]
    public void ArtifactStates_EveryPair_IsAllowedExactlyAsItShouldBe()
    {
        HashSet<(string From, string To)> changes = [("storing", "stored"), ("storing", "deleted"), ("stored", "deleted")];
        foreach (var to in ArtifactStates.All)
        {
            Assert.Equal(changes.Where(c => c.To == to).Select(c => c.From).Order(), ArtifactStates.From(to).Order());
        }
    }
}
