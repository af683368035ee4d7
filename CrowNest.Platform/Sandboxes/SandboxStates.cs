using CrowNest.Contracts;

namespace CrowNest.Platform.Sandboxes;

/// <summary>
/// The stored states of a sandbox and every allowed change between them (docs/reference/api.md 4.2): the one table that all SQL takes its
/// from-states from. <c>running</c> and <c>idle</c> are derived and never stored.
/// </summary>
public static class SandboxStates
{
    private static readonly Dictionary<string, string[]> FromStates = new()
    {
        [SandboxStatus.Starting] = [SandboxStatus.Creating],
        [SandboxStatus.Ready] = [SandboxStatus.Creating, SandboxStatus.Starting],
        // A kill may meet a sandbox that is still being made.
        [SandboxStatus.Expiring] = [SandboxStatus.Creating, SandboxStatus.Starting, SandboxStatus.Ready],
        [SandboxStatus.Destroyed] = [SandboxStatus.Expiring],
        [SandboxStatus.Failed] = [SandboxStatus.Creating, SandboxStatus.Starting, SandboxStatus.Ready],
    };

    /// <summary>Every stored state.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        SandboxStatus.Creating, SandboxStatus.Starting, SandboxStatus.Ready, SandboxStatus.Expiring, SandboxStatus.Destroyed,
        SandboxStatus.Failed,
    ];

    /// <summary>States that count towards the concurrency ceiling.</summary>
    public static string[] Live { get; } = [SandboxStatus.Creating, SandboxStatus.Starting, SandboxStatus.Ready, SandboxStatus.Expiring];

    /// <summary>States from which <paramref name="to"/> may be entered; empty when it is only entered by an insert.</summary>
    public static string[] From(string to) => FromStates.TryGetValue(to, out var from) ? from : [];

    public static bool IsLive(string state) => Array.IndexOf(Live, state) >= 0;
}

/// <summary>The states of a command and every allowed change (docs/reference/api.md 5.1). A final state never changes.</summary>
public static class CommandStates
{
    private static readonly string[] Active = [CommandStatus.Queued, CommandStatus.Starting, CommandStatus.Running];

    private static readonly Dictionary<string, string[]> FromStates = new()
    {
        [CommandStatus.Starting] = [CommandStatus.Queued],
        [CommandStatus.Running] = [CommandStatus.Queued, CommandStatus.Starting],
        // A fast command may be over before its row was marked running.
        [CommandStatus.Exited] = Active,
        [CommandStatus.Failed] = Active,
        [CommandStatus.Canceled] = Active,
        [CommandStatus.TimedOut] = Active,
        [CommandStatus.Killed] = Active,
    };

    public static IReadOnlyList<string> All { get; } = [.. Active, .. FromStates.Keys.Where(CommandStatus.IsFinal)];

    public static string[] From(string to) => FromStates.TryGetValue(to, out var from) ? from : [];
}
