using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Files;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;

namespace CrowNest.Worker.Artifacts;

/// <summary>
/// Makes an object a file of a sandbox. Its digest is checked here while it is read and in the agent before the file appears: what is
/// damaged anywhere on the way never does.
/// </summary>
internal sealed class ObjectImport(IObjectStore objects, AgentFiles files, AgentFailures failures, TimeProvider clock)
{
    private const string Damaged = "The artifact's bytes are missing or damaged.";

    /// <exception cref="WorkerException">The codes of docs/protocols.md 3.</exception>
    public async Task<AgentFile> WriteAsync(LiveSandbox sandbox, ImportObject request, CancellationToken cancellationToken)
    {
        using var activity = WorkerTelemetry.Activities.StartActivity("artifact.import");
        activity?.SetTag("crownest.sandbox_id", sandbox.Id).SetTag("crownest.artifact_bytes", request.SizeBytes);
        var since = clock.GetTimestamp();
        var outcome = ErrorCodes.InternalError;
        try
        {
            var file = await ImportAsync(sandbox, request, cancellationToken);
            outcome = "written";
            ArtifactMetrics.ImportBytes.Add(file.SizeBytes);
            return file;
        }
        catch (WorkerException exception)
        {
            outcome = exception.Code;
            throw;
        }
        finally
        {
            ArtifactMetrics.ImportDuration.Record(clock.GetElapsedTime(since).TotalMilliseconds, ArtifactMetrics.Outcome(outcome));
        }
    }

    private async Task<AgentFile> ImportAsync(LiveSandbox sandbox, ImportObject request, CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, sandbox.Ended);
        try
        {
            await using var opened = await objects.GetAsync(request.ObjectKey, range: null, ending.Token);
            if (opened?.TotalLength != request.SizeBytes)
            {
                throw WorkerException.Storage(Damaged);
            }

            await using var verified = opened.Verified(request.Sha256);
            return await files.WriteAsync(sandbox.Agent, request, verified.Content, ending.Token);
        }
        catch (ObjectStoreException failure)
        {
            throw WorkerException.Storage("The artifact's bytes cannot be read, or are not what they were.", failure);
        }
        catch (AgentErrorException refusal) when (refusal.Code == ErrorCodes.UploadChecksumMismatch)
        {
            throw WorkerException.Storage(Damaged, refusal);
        }
        catch (AgentErrorException refusal)
        {
            throw AgentFailures.Refused(refusal);
        }
        catch (AgentUnavailableException failure)
        {
            throw await failures.LostAsync(sandbox, failure);
        }
        catch (OperationCanceledException exception) when (sandbox.Ended.IsCancellationRequested)
        {
            throw AgentFailures.Gone(sandbox.Id, exception);
        }
    }
}
