using System.Net;
using CrowNest.Client;
using CrowNest.Contracts;
using Microsoft.JSInterop;

namespace CrowNest.Dashboard.Commands;

/// <summary>
/// Follows one of the API's streams to its end for a page, its output in a frame. Goes on after the API was away for longer than the
/// client's own patience.
/// </summary>
/// <typeparam name="T">What the stream is about; its end brings it in its final state.</typeparam>
internal abstract class StreamFollower<T>(OutputFrame frame, TimeProvider timeProvider, Action<T?> onChanged, Action onSessionOver)
    : IAsyncDisposable
    where T : class
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _leaving = new();
    private Task _work = Task.CompletedTask;

    /// <summary>Everything was shown, and what it is about is final.</summary>
    public bool HasEnded { get; private set; }

    public bool IsInterrupted { get; private set; }

    /// <summary>No output has come.</summary>
    public abstract bool IsEmpty { get; }

    /// <summary>Why the stream cannot be shown.</summary>
    public CrowNestApiException? Problem { get; private set; }

    protected OutputWriter Output { get; } = new(frame);

    public void Start(CrowNestClient api) => _work = RunAsync(api, _leaving.Token);

    public async ValueTask DisposeAsync()
    {
        await _leaving.CancelAsync();
        await _work;
        _leaving.Dispose();
    }

    /// <summary>Opens the stream where it was left and reads it; null when it ended before its end, or with an error that was told.</summary>
    protected abstract Task<T?> ReadOnceAsync(CrowNestClient api, CancellationToken cancellationToken);

    /// <summary>What the page shows has changed.</summary>
    protected void Changed() => onChanged(null);

    protected void SetInterrupted(bool interrupted)
    {
        if (IsInterrupted == interrupted)
            return;
        IsInterrupted = interrupted;
        onChanged(null);
    }

    /// <summary>The stream has ended with an error event: there is nothing more to read.</summary>
    protected void EndWith(string? code, string? message) =>
        Problem = new CrowNestApiException(null, code ?? ErrorCodes.InternalError, message ?? "The stream ended.");

    /// <summary>For output that comes faster than it can be read: no busy loop.</summary>
    protected Task PauseAsync(CancellationToken cancellationToken) => Task.Delay(RetryInterval, timeProvider, cancellationToken);

    private async Task RunAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        try
        {
            var writing = Output.WriteAsync(cancellationToken);
            var final = await ReadAsync(api, cancellationToken);
            Output.Complete();
            await writing;
            HasEnded = final is not null;
            onChanged(final);
        }
        catch (Exception exception) when (exception is OperationCanceledException or JSDisconnectedException)
        {
            // The page was left, or its browser is gone: nobody reads on.
        }
    }

    /// <summary>Reads until the end; null when the stream cannot be read.</summary>
    private async Task<T?> ReadAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        while (Problem is null)
        {
            try
            {
                if (await ReadOnceAsync(api, cancellationToken) is { } final)
                    return final;
            }
            catch (CrowNestApiException exception) when (exception.Status == HttpStatusCode.Unauthorized)
            {
                onSessionOver();
                return null;
            }
            catch (CrowNestApiException exception) when (IsPassing(exception))
            {
                SetInterrupted(true);
                await PauseAsync(cancellationToken);
            }
            catch (CrowNestApiException exception)
            {
                Problem = exception;
            }
        }

        return null;
    }

    /// <summary>Whether the same question may be answered later.</summary>
    private static bool IsPassing(CrowNestApiException exception) =>
        !exception.IsApiAnswer || exception.Status >= HttpStatusCode.InternalServerError || exception.Code == ErrorCodes.RateLimited;
}
