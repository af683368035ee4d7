namespace CrowNest.Agent.Tests.Harness;

/// <summary>A claimed agent for the tests of one class.</summary>
public abstract class AgentFixture : IAsyncLifetime
{
    internal AgentInstance Agent { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Agent = await StartAsync();
        await Agent.Client.ClaimAsync(environment: new { CROWNEST_SANDBOX_ID = "sbx_1", SHARED = "claim" });
    }

    public async ValueTask DisposeAsync()
    {
        if (Agent is not null) await Agent.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<AgentInstance> StartAsync();
}

public sealed class HostFixture : AgentFixture
{
    private protected override async Task<AgentInstance> StartAsync() => await HostAgent.StartAsync();
}

public sealed class ContainerFixture : AgentFixture
{
    private protected override async Task<AgentInstance> StartAsync() => await ContainerAgent.StartAsync();
}
