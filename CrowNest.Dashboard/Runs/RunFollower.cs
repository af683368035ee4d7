using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Commands;

namespace CrowNest.Dashboard.Runs;

/// <summary>
/// Follows a run's events: output goes to its frame, everything else into <see cref="Progress"/>. The sequence numbers have no gaps, so
/// nothing is missed or shown twice.
/// </summary>
internal sealed class RunFollower(
    string runId, OutputFrame frame, TimeProvider timeProvider, Action<WorkspaceRun?> onChanged, Action onSessionOver)
    : StreamFollower<WorkspaceRun>(frame, timeProvider, onChanged, onSessionOver)
{
    private bool _hasOutput;
    private long? _position;

    public RunProgress Progress { get; } = new();

    public override bool IsEmpty => !_hasOutput;

    protected override async Task<WorkspaceRun?> ReadOnceAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        var options = new EventStreamOptions { AfterSeq = _position, OnInterrupted = SetInterrupted };
        await foreach (var told in api.WorkspaceRuns.StreamAsync(runId, options, cancellationToken))
        {
            if (told.Type == WorkspaceRunEventType.Error)
            {
                EndWith(told.Code, told.Message);
                return null;
            }

            SetInterrupted(false);
            await TakeAsync(told, cancellationToken);
            if (told.Type == WorkspaceRunEventType.Terminal)
                return told.WorkspaceRun;
        }

        return null;
    }

    private async ValueTask TakeAsync(WorkspaceRunEvent told, CancellationToken cancellationToken)
    {
        _position = told.Seq;
        switch (told.Type)
        {
            case WorkspaceRunEventType.Stdout or WorkspaceRunEventType.Stderr:
                _hasOutput = true;
                await Output.TakeAsync(told.Type, told.Data, cancellationToken);
                break;
            case WorkspaceRunEventType.Heartbeat:
                break;
            default:
                Progress.Take(told);
                Changed();
                break;
        }
    }
}
