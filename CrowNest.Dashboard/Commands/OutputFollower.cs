using System.Net;
using CrowNest.Client;
using CrowNest.Contracts;
using Microsoft.JSInterop;

namespace CrowNest.Dashboard.Commands;

/// <summary>
/// Brings a command's output to its frame: reads the API's stream, and goes on after the API was away for longer than the client's own
/// patience.
/// </summary>
internal sealed class OutputFollower(
    string commandId, OutputFrame frame, TimeProvider timeProvider, Action<Command?> onChanged, Action onSessionOver) : IAsyncDisposable
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _leaving = new();
    private readonly OutputWriter _output = new(frame);
    private Task _work = Task.CompletedTask;
    private long _position;

    /// <summary>Everything was shown, and the command is final.</summary>
    public bool HasEnded { get; private set; }

    public bool IsInterrupted { get; private set; }

    public bool IsEmpty => _position == 0;

    /// <summary>Why the output cannot be shown.</summary>
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

    /// <summary>Reads until the command is final; null when the output cannot be read.</summary>
    private async Task<Command?> ReadAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var options = new CommandStreamOptions { AfterSeq = _position > 0 ? _position : null, OnInterrupted = SetInterrupted };
                await foreach (var current in api.Commands.StreamAsync(commandId, options, cancellationToken))
                {
                    switch (current.Type)
                    {
                        case CommandStreamEventType.Log:
                            await TakeAsync(current, cancellationToken);
                            break;
                        case CommandStreamEventType.Terminal:
                            SetInterrupted(false);
                            return current.Command;
                        case CommandStreamEventType.Error when current.Code == ErrorCodes.StreamGap:
                            await ReopenAtOldestAsync(api, cancellationToken);
                            break;
                        case CommandStreamEventType.Error:
                            Problem = new CrowNestApiException(
                                null, current.Code ?? ErrorCodes.InternalError, current.Message ?? "The stream ended.");
                            return null;
                        default:
                            break;
                    }
                }
            }
            catch (CrowNestApiException exception) when (exception.Code == ErrorCodes.StreamGap)
            {
                await ReopenAtOldestAsync(api, cancellationToken);
            }
            catch (CrowNestApiException exception) when (exception.Status == HttpStatusCode.Unauthorized)
            {
                onSessionOver();
                return null;
            }
            catch (CrowNestApiException exception) when (IsPassing(exception))
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

    /// <summary>The API dropped what comes next (10 MiB are kept): say so, and go on with the oldest that is there.</summary>
    private async Task ReopenAtOldestAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        var oldest = await api.Commands.LogsAsync(commandId, limit: 1, cancellationToken: cancellationToken);
        await NoteMissingAsync(cancellationToken);
        _position = oldest.Data is [var first, ..] ? first.Seq - 1 : _position;
        // A command that writes faster than this can be read loses output again and again; that must not become a busy loop.
        await Task.Delay(RetryInterval, timeProvider, cancellationToken);
    }

    private async Task TakeAsync(CommandStreamEvent log, CancellationToken cancellationToken)
    {
        SetInterrupted(false);
        if (_position == 0 && log.Seq > 1)
            await NoteMissingAsync(cancellationToken);
        _position = log.Seq ?? _position;
        await _output.TakeAsync(log.Stream, log.Data, cancellationToken);
    }

    private ValueTask NoteMissingAsync(CancellationToken cancellationToken) =>
        _output.NoteAsync("Earlier output is no longer kept: the newest 10 MiB of a command are.", cancellationToken);

    /// <summary>Whether the same question may be answered later.</summary>
    internal static bool IsPassing(CrowNestApiException exception) =>
        !exception.IsApiAnswer || exception.Status >= HttpStatusCode.InternalServerError || exception.Code == ErrorCodes.RateLimited;

    private void SetInterrupted(bool interrupted)
    {
        if (IsInterrupted == interrupted)
            return;
        IsInterrupted = interrupted;
        onChanged(null);
    }
}
