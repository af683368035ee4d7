using System.Collections.Concurrent;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Files;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using Npgsql;

namespace CrowNest.Worker.Artifacts;

/// <summary>
/// Makes a file of a sandbox an object and its <c>storing</c> row <c>stored</c>, for a request as for a command's collection. A caller that
/// leaves does not stop it; after a failure neither row nor object is left, and what a crash leaves is <c>storing</c> and cleared away by
/// the API. Size and digest are those of the bytes that were stored, whatever becomes of the file meanwhile.
/// </summary>
internal sealed partial class ArtifactExport : IHostedService, IDisposable
{
    /// <summary>How long a database that is away is waited for: a caller waits for the answer.</summary>
    private static readonly TimeSpan MarkPatience = TimeSpan.FromSeconds(6);

    private readonly ConcurrentDictionary<string, Lazy<Task<ArtifactRow>>> _running = new();
    private readonly IObjectStore _objects;
    private readonly ArtifactStore _artifacts;
    private readonly AgentFiles _files;
    private readonly AgentFailures _failures;
    private readonly WorkerRetries _retries;
    private readonly TimeProvider _clock;
    private readonly ILogger<ArtifactExport> _logger;
    private readonly CancellationTokenSource _stopping;
    private int _isDisposed;

    public ArtifactExport(
        IObjectStore objects, ArtifactStore artifacts, AgentFiles files, AgentFailures failures, WorkerRetries retries,
        IHostApplicationLifetime lifetime, TimeProvider clock, ILogger<ArtifactExport> logger)
    {
        _objects = objects;
        _artifacts = artifacts;
        _files = files;
        _failures = failures;
        _retries = retries;
        _clock = clock;
        _logger = logger;
        _stopping = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
    }

    /// <summary>Exports a file, or joins the export that is under way. An artifact that is stored already is returned as it is.</summary>
    /// <exception cref="WorkerException">
    /// The codes of docs/protocols.md 3; <c>sandbox_destroyed</c> when the sandbox ended on the way; <c>not_found</c> when there is no
    /// such row.
    /// </exception>
    /// <exception cref="OperationCanceledException">This process stops.</exception>
    public Task<ArtifactRow> StoreAsync(LiveSandbox sandbox, StoreArtifact request)
    {
        var export = _running.GetOrAdd(request.ArtifactId, _ => new(() => RunAsync(sandbox, request)));
        return export.Value;
    }

    /// <summary>Removes the row of an export that cannot begin.</summary>
    public async Task DiscardAsync(StoreArtifact request)
    {
        try
        {
            await _artifacts.DiscardAsync(request.ArtifactId, CancellationToken.None);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            LogNotDiscarded(exception, request.ArtifactId);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Ends what is under way, and clears up behind it.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        while (!_running.IsEmpty)
        {
            await Task.WhenAny(Task.WhenAll(_running.Values.Select(export => export.Value)).WaitAsync(cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    /// <summary>May come more than once: the container knows this as itself and as a hosted service.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _stopping.Cancel();
            _stopping.Dispose();
        }
    }

    private async Task<ArtifactRow> RunAsync(LiveSandbox sandbox, StoreArtifact request)
    {
        using var activity = WorkerTelemetry.Activities.StartActivity("artifact.export");
        activity?.SetTag("crownest.artifact_id", request.ArtifactId).SetTag("crownest.sandbox_id", sandbox.Id);
        var since = _clock.GetTimestamp();
        var outcome = ErrorCodes.InternalError;
        try
        {
            // Off the caller's stack, and out of its lock.
            await Task.Yield();
            var row = await ExportAsync(sandbox, request);
            outcome = ArtifactStates.Stored;
            activity?.SetTag("crownest.artifact_bytes", row.SizeBytes);
            return row;
        }
        catch (WorkerException exception)
        {
            outcome = exception.Code;
            throw;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogFailed(exception, request.ArtifactId);
            throw;
        }
        finally
        {
            _running.TryRemove(request.ArtifactId, out _);
            ArtifactMetrics.ExportDuration.Record(_clock.GetElapsedTime(since).TotalMilliseconds, ArtifactMetrics.Outcome(outcome));
        }
    }

    private async Task<ArtifactRow> ExportAsync(LiveSandbox sandbox, StoreArtifact request)
    {
        var announced = await _artifacts.FindAsync(request.ArtifactId, _stopping.Token);
        if (announced is null || announced.SandboxId != sandbox.Id || announced.ObjectKey != request.ObjectKey
            || announced.State == ArtifactStates.Deleted)
        {
            throw WorkerException.NotFound("There is no such artifact to store.");
        }

        if (announced.State == ArtifactStates.Stored)
        {
            return announced;
        }

        ObjectDigest digest;
        string path;
        try
        {
            (digest, path) = await PutAsync(sandbox, request);
        }
        catch
        {
            await DiscardAllAsync(request);
            throw;
        }

        // A failure from here on leaves it open whether the row is stored: both then stay, and the sweep takes them if it is not.
        var stored = await MarkAsync(request, digest, path);
        if (stored is null)
        {
            await DiscardAllAsync(request);
            throw WorkerException.NotFound("The artifact was given up before its file was stored.");
        }

        ArtifactMetrics.ExportBytes.Add(digest.Length);
        return stored;
    }

    private async Task<(ObjectDigest Digest, string Path)> PutAsync(LiveSandbox sandbox, StoreArtifact request)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token, sandbox.Ended);
        try
        {
            await using var file = await _files.OpenAsync(sandbox.Agent, request.Path, request.MaxBytes, ending.Token);
            return (await _objects.PutAsync(request.ObjectKey, file.Content, length: null, ending.Token), file.Head.Path);
        }
        catch (AgentErrorException refusal)
        {
            throw AgentFailures.Refused(refusal);
        }
        catch (AgentUnavailableException failure)
        {
            throw await _failures.LostAsync(sandbox, failure);
        }
        catch (ObjectStoreException failure)
        {
            throw WorkerException.Storage("The file could not be stored; a later attempt may succeed.", failure);
        }
        catch (OperationCanceledException exception) when (sandbox.Ended.IsCancellationRequested)
        {
            throw AgentFailures.Gone(sandbox.Id, exception);
        }
    }

    private Task<ArtifactRow?> MarkAsync(StoreArtifact request, ObjectDigest digest, string path)
    {
        var isRepeated = false;
        return _retries.WriteAsync(
            $"Marking artifact {request.ArtifactId} stored", MarkOnceAsync, _stopping.Token, _clock.GetUtcNow() + MarkPatience);

        async Task<ArtifactRow?> MarkOnceAsync(CancellationToken token)
        {
            var wasRepeated = isRepeated;
            isRepeated = true;
            if (await _artifacts.MarkStoredAsync(
                request.ArtifactId, digest.Length, digest.Sha256, path, _clock.GetUtcNow(), CancellationToken.None) is { } stored)
            {
                return stored;
            }

            // An earlier attempt may have succeeded without our hearing of it.
            return wasRepeated && await _artifacts.FindAsync(request.ArtifactId, CancellationToken.None) is
            { State: ArtifactStates.Stored } standing && standing.Sha256 == digest.Sha256 ? standing : null;
        }
    }

    /// <summary>The object first: a row that stays behind has the sweep try again.</summary>
    private async Task DiscardAllAsync(StoreArtifact request)
    {
        try
        {
            await _objects.DeleteAsync(request.ObjectKey, CancellationToken.None);
        }
        catch (ObjectStoreException exception)
        {
            LogNotDiscarded(exception, request.ArtifactId);
            return;
        }

        await DiscardAsync(request);
    }

    [LoggerMessage(6311, LogLevel.Error, "The export of {ArtifactId} failed")]
    private partial void LogFailed(Exception exception, string artifactId);

    [LoggerMessage(6313, LogLevel.Warning, "What is left of artifact {ArtifactId} could not be cleared away; the sweep will")]
    private partial void LogNotDiscarded(Exception exception, string artifactId);
}
