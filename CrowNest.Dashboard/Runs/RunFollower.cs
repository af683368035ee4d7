using System.Net;
using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Commands;
using Microsoft.JSInterop;

namespace CrowNest.Dashboard.Runs;

/// <summary>
/// Follows a run's events to their end: output goes to its frame, everything else into <see cref="Progress"/>. Goes on after the API was
/// away for longer than the client's own patience; the sequence numbers have no gaps, so nothing is missed or shown twice.
/// </summary>
internal sealed class RunFollower(
    string runId, OutputFrame frame, TimeProvider timeProvider, Action<WorkspaceRun?> onChanged, Action onSessionOver) : IAsyncDisposable
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(2);
    private readonly CancellationTokenSource _leaving = new();
    private readonly OutputWriter _output = new(frame);
    private Task _work = Task.CompletedTask;
    private long? _position;

    public RunProgress Progress { get; } = new();

    /// <summary>Everything was shown, and the run is final.</summary>
    public bool HasEnded { get; private set; }

    public bool IsInterrupted { get; private set; }

    /// <summary>No output has come.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <summary>Why the events cannot be shown.</summary>
    public CrowNestApiException? Problem { get; private set; }

    public void Start(CrowNestClient api) => _work = RunAsync(api, _leaving.Token);

    public async ValueTask DisposeAsync()
    {
        await _leaving.CancelAsync();
        await _work;
        _leaving.Dispose();
    }

    private async Task RunAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        try
        {
            var writing = _output.WriteAsync(cancellationToken);
            var final = await ReadAsync(api, cancellationToken);
            _output.Complete();
            await writing;
            HasEnded = final is not null;
            onChanged(final);
        }
        catch (Exception exception) when (exception is OperationCanceledException or JSDisconnectedException)
        {
            // The page was left, or its browser is gone: nobody reads on.
        }
    }

    /// <summary>Reads until <c>terminal</c>; null when the events cannot be read.</summary>
    private async Task<WorkspaceRun?> ReadAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var options = new EventStreamOptions { AfterSeq = _position, OnInterrupted = SetInterrupted };
                await foreach (var told in api.WorkspaceRuns.StreamAsync(runId, options, cancellationToken))
                {
                    if (told.Type == WorkspaceRunEventType.Error)
                    {
                        Problem = new CrowNestApiException(
                            null, told.Code ?? ErrorCodes.InternalError, told.Message ?? "The stream ended.");
                        return null;
                    }

                    SetInterrupted(false);
                    await TakeAsync(told, cancellationToken);
                    if (told.Type == WorkspaceRunEventType.Terminal)
                        return told.WorkspaceRun;
                }
            }
            catch (CrowNestApiException exception) when (exception.Status == HttpStatusCode.Unauthorized)
            {
                onSessionOver();
                return null;
            }
            catch (CrowNestApiException exception) when (OutputFollower.IsPassing(exception))
            {
                SetInterrupted(true);
                await Task.Delay(RetryInterval, timeProvider, cancellationToken);
            }
            catch (CrowNestApiException exception)
            {
                Problem = exception;
                return null;
            }
        }
    }

    private async ValueTask TakeAsync(WorkspaceRunEvent told, CancellationToken cancellationToken)
    {
        _position = told.Seq;
        switch (told.Type)
        {
            case WorkspaceRunEventType.Stdout or WorkspaceRunEventType.Stderr:
                IsEmpty = false;
                await _output.TakeAsync(told.Type, told.Data, cancellationToken);
                break;
            case WorkspaceRunEventType.Heartbeat:
                break;
            default:
                Progress.Take(told);
                onChanged(null);
                break;
        }
    }

    private void SetInterrupted(bool interrupted)
    {
        if (IsInterrupted == interrupted)
            return;
        IsInterrupted = interrupted;
        onChanged(null);
    }
}
