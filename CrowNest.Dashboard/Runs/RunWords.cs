using CrowNest.Contracts;
using CrowNest.Dashboard.Components;

namespace CrowNest.Dashboard.Runs;

/// <summary>What a run's statuses and failures mean to a person.</summary>
internal static class RunWords
{
    /// <summary>What the run does in a stage.</summary>
    public static string Stage(string status) => status switch
    {
        WorkspaceRunStatus.AwaitingArchive => "Waiting for the archive",
        WorkspaceRunStatus.ArchiveUploaded => "Archive verified, waiting for the start",
        WorkspaceRunStatus.Starting => "Getting a sandbox",
        WorkspaceRunStatus.Extracting => "Unpacking the archive",
        WorkspaceRunStatus.Running => "Running the command",
        WorkspaceRunStatus.Collecting => "Collecting artifacts, storing the evidence",
        WorkspaceRunStatus.Succeeded => "Succeeded",
        WorkspaceRunStatus.Failed => "Failed",
        WorkspaceRunStatus.Canceled => "Canceled",
        var other => VisibleText.Of(other),
    };

    /// <summary>How it ended, in a few words; null while it has not.</summary>
    public static string? Result(WorkspaceRun run) => run switch
    {
        { Status: WorkspaceRunStatus.Succeeded } => "Exit code 0",
        { Status: WorkspaceRunStatus.Canceled } => "Canceled",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.CommandExit } => $"Exit code {run.ExitCode}",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.Timeout } => "Timed out",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.ArchiveInvalid } => "Archive is not valid",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.ArchiveTooLarge } => "Archive is too large",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.ExtractionFailed } => "Could not be unpacked",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.UploadMissing } => "Nothing was uploaded",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.SandboxConflict } => "Sandbox was busy",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.SandboxUnavailable } => "No sandbox",
        { Status: WorkspaceRunStatus.Failed, FailureReason: WorkspaceRunFailure.InternalError } => "Platform error",
        { Status: WorkspaceRunStatus.Failed } => VisibleText.Title(run.FailureReason ?? "Failed", 30),
        _ => null,
    };

    /// <summary>Why it failed, and whose doing that is; null when it did not.</summary>
    public static string? Explanation(WorkspaceRun run) => run.Status != WorkspaceRunStatus.Failed ? null : run.FailureReason switch
    {
        WorkspaceRunFailure.CommandExit => $"The command ended with exit code {run.ExitCode}. The platform did its part.",
        WorkspaceRunFailure.Timeout =>
            $"The command ran into its time limit of {DurationText.Short(TimeSpan.FromMilliseconds(run.TimeoutMs))} and was stopped.",
        WorkspaceRunFailure.ArchiveInvalid => "The archive is no gzipped tar, or holds what may not be unpacked. The command never ran.",
        WorkspaceRunFailure.ArchiveTooLarge => "The archive unpacks to more than is allowed. The command never ran.",
        WorkspaceRunFailure.ExtractionFailed => "The archive could not be unpacked into the sandbox. The command never ran.",
        WorkspaceRunFailure.UploadMissing => "The archive was not uploaded in time.",
        WorkspaceRunFailure.SandboxConflict => "The sandbox it was to run in was busy, or had served another run. The command never ran.",
        WorkspaceRunFailure.SandboxUnavailable => "No sandbox could be had. That is the platform's doing; try again.",
        WorkspaceRunFailure.InternalError => "Something in the platform went wrong. That says nothing about the command.",
        _ => "It failed for a reason that this page does not know.",
    };

    /// <summary>What the platform has to say besides <see cref="Explanation"/>; empty where that would be the same once more.</summary>
    public static string Detail(WorkspaceRun run) =>
        run.FailureReason is WorkspaceRunFailure.CommandExit or WorkspaceRunFailure.Timeout ? "" : run.FailureMessage ?? "";

    public static string Cleanup(WorkspaceRun run) => run.CleanupStatus switch
    {
        WorkspaceRunCleanup.Pending when !WorkspaceRunStatus.IsFinal(run.Status) => "Removed when the run ends",
        WorkspaceRunCleanup.Pending => "Still to be removed",
        WorkspaceRunCleanup.Succeeded => "Removed",
        WorkspaceRunCleanup.Failed => "Could not be removed",
        WorkspaceRunCleanup.NotRequested => "Kept",
        _ => "–",
    };
}
