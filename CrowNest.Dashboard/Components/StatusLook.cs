using CrowNest.Contracts;

namespace CrowNest.Dashboard.Components;

/// <summary>How a status is shown.</summary>
/// <param name="Tone">A class of the stylesheet.</param>
internal sealed record StatusLook(string Text, string Icon, string Tone)
{
    private const string Good = "tone-good";
    private const string Busy = "tone-busy";
    private const string Quiet = "tone-quiet";
    private const string Warning = "tone-warning";
    private const string Bad = "tone-bad";

    public static StatusLook Of(Sandbox sandbox) => sandbox.Status switch
    {
        SandboxStatus.Creating => new("Creating", "dots", Busy),
        SandboxStatus.Starting => new("Starting", "dots", Busy),
        SandboxStatus.Ready => new("Ready", "dot", Good),
        SandboxStatus.Running => new("Running", "play", Good),
        SandboxStatus.Idle => new("Idle", "ring", Good),
        SandboxStatus.Expiring => new("Ending", "dots", Warning),
        SandboxStatus.Failed => new("Failed", "warning", Bad),
        SandboxStatus.Destroyed => sandbox.DestroyedReason switch
        {
            DestroyedReason.UserKilled => new("Killed", "stop", Quiet),
            DestroyedReason.TtlExpired => new("Expired", "clock", Quiet),
            DestroyedReason.IdleExpired => new("Expired idle", "clock", Quiet),
            DestroyedReason.PlatformCleanup => new("Cleaned up", "bar", Quiet),
            _ => new("Destroyed", "bar", Quiet),
        },
        var other => new(VisibleText.Of(other), "ring", Quiet),
    };

    public static StatusLook Of(Command command) => command.Status switch
    {
        CommandStatus.Queued => new("Queued", "dots", Busy),
        CommandStatus.Starting => new("Starting", "dots", Busy),
        CommandStatus.Running => new("Running", "play", Good),
        CommandStatus.Exited when command.ExitCode == 0 => new("Exited 0", "check", Good),
        CommandStatus.Exited => new($"Exited {command.ExitCode}", "cross", Bad),
        CommandStatus.Failed => new("Failed", "warning", Bad),
        CommandStatus.Canceled => new("Canceled", "stop", Quiet),
        CommandStatus.TimedOut => new("Timed out", "clock", Warning),
        CommandStatus.Killed => new("Killed", "stop", Warning),
        var other => new(VisibleText.Of(other), "ring", Quiet),
    };

    /// <param name="status">One of <see cref="WorkspaceRunStatus"/>.</param>
    public static StatusLook OfRun(string status) => status switch
    {
        WorkspaceRunStatus.AwaitingArchive => new("Awaiting archive", "ring", Quiet),
        WorkspaceRunStatus.ArchiveUploaded => new("Archive uploaded", "dot", Quiet),
        WorkspaceRunStatus.Starting => new("Starting", "dots", Busy),
        WorkspaceRunStatus.Extracting => new("Extracting", "dots", Busy),
        WorkspaceRunStatus.Running => new("Running", "play", Good),
        WorkspaceRunStatus.Collecting => new("Collecting", "dots", Busy),
        WorkspaceRunStatus.Succeeded => new("Succeeded", "check", Good),
        WorkspaceRunStatus.Failed => new("Failed", "cross", Bad),
        WorkspaceRunStatus.Canceled => new("Canceled", "stop", Quiet),
        var other => new(VisibleText.Of(other), "ring", Quiet),
    };

    /// <summary>The word for a status alone, for choosing among them.</summary>
    public static string Word(string status) => status switch
    {
        SandboxStatus.Expiring => "Ending",
        { Length: > 0 } => char.ToUpperInvariant(status[0]) + status[1..].Replace('_', ' '),
        _ => status,
    };

    /// <summary>Whether a sandbox accepts work.</summary>
    public static bool IsUsable(Sandbox sandbox) => IsLive(sandbox) && sandbox.Status != SandboxStatus.Expiring;

    public static bool IsLive(Sandbox sandbox) => sandbox.Status is not (SandboxStatus.Destroyed or SandboxStatus.Failed);
}
