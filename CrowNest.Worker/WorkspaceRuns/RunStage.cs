using System.Diagnostics;
using CrowNest.Worker.WorkspaceRuns.Claiming;

namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>A stage of a run while it is at work: its span, and its time.</summary>
internal sealed class RunStage : IDisposable
{
    private readonly string _name;
    private readonly TimeProvider _clock;
    private readonly long _began;
    private readonly Activity? _activity;

    private RunStage(ClaimedRun run, string name, TimeProvider clock)
    {
        _name = name;
        _clock = clock;
        _began = clock.GetTimestamp();
        _activity = WorkerTelemetry.Activities.StartActivity($"workspace_run.{name}");
        _activity?.SetTag("crownest.run_id", run.Id);
    }

    public static RunStage Enter(ClaimedRun run, string name, TimeProvider clock) => new(run, name, clock);

    public void SetTag(string name, object? value) => _activity?.SetTag(name, value);

    public void Dispose()
    {
        RunMetrics.StageDuration.Record(_clock.GetElapsedTime(_began).TotalMilliseconds, new KeyValuePair<string, object?>("stage", _name));
        _activity?.Dispose();
    }
}
