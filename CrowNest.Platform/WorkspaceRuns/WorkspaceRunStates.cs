using CrowNest.Contracts;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>
/// The statuses of a workspace run and every allowed change (docs/reference/api.md 10.2): the one table that all SQL takes its from-states
/// from.
/// </summary>
public static class WorkspaceRunStates
{
    private static readonly string[] Active =
    [
        WorkspaceRunStatus.AwaitingArchive, WorkspaceRunStatus.ArchiveUploaded, WorkspaceRunStatus.Starting, WorkspaceRunStatus.Extracting,
        WorkspaceRunStatus.Running, WorkspaceRunStatus.Collecting,
    ];

    private static readonly Dictionary<string, string[]> FromStates = new()
    {
        [WorkspaceRunStatus.ArchiveUploaded] = [WorkspaceRunStatus.AwaitingArchive],
        [WorkspaceRunStatus.Starting] = [WorkspaceRunStatus.ArchiveUploaded],
        [WorkspaceRunStatus.Extracting] = [WorkspaceRunStatus.Starting],
        [WorkspaceRunStatus.Running] = [WorkspaceRunStatus.Extracting],
        [WorkspaceRunStatus.Collecting] = [WorkspaceRunStatus.Running],
        [WorkspaceRunStatus.Succeeded] = [WorkspaceRunStatus.Collecting],
        [WorkspaceRunStatus.Failed] = Active,
        [WorkspaceRunStatus.Canceled] = Active,
    };

    /// <summary>Statuses in which a worker carries the run.</summary>
    public static string[] Carried { get; } =
        [WorkspaceRunStatus.Starting, WorkspaceRunStatus.Extracting, WorkspaceRunStatus.Running, WorkspaceRunStatus.Collecting];

    /// <summary>Statuses from which <paramref name="to"/> may be entered; empty when it is only entered by an insert.</summary>
    public static string[] From(string to) => FromStates.TryGetValue(to, out var from) ? from : [];
}
