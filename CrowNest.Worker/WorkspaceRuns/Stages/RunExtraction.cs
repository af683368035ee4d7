using CrowNest.Contracts;
using CrowNest.Platform.Storage;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Files;
using CrowNest.Worker.Sandboxes;
using CrowNest.Worker.WorkspaceRuns.Claiming;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.WorkspaceRuns.Stages;

/// <summary>
/// Brings a run's archive from the object store straight into its sandbox, where the agent extracts it by the rules of
/// docs/reference/api.md 10.6. The digest is verified on the way: the last bytes of an archive that is not what was uploaded never reach
/// the agent.
/// </summary>
internal sealed partial class RunExtraction(
    IObjectStore objects, AgentFiles files, LiveSandboxes live, WorkerRetries retries, IOptions<WorkerOptions> options,
    TimeProvider clock, ILogger<RunExtraction> logger)
{
    private const int MaxSilences = 3;
    private static readonly TimeSpan SilencePause = TimeSpan.FromMilliseconds(250);

    /// <exception cref="RunFailedException">It cannot be extracted.</exception>
    /// <exception cref="OperationCanceledException">Also when the sandbox ended.</exception>
    public async Task ExtractAsync(ClaimedRun run, LiveSandbox sandbox, CancellationToken cancellationToken)
    {
        using var stage = RunStage.Enter(run, "extract", clock);
        var began = clock.GetTimestamp();
        var giveUpAt = clock.GetUtcNow() + options.Value.Runs.StoragePatience;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var extracted = await retries.StoreAsync(
                    $"Reading the archive of run {run.Id}", token => ExtractOnceAsync(run, sandbox, token), cancellationToken, giveUpAt,
                    _ => run.TellAsync("The archive cannot be read from storage now; it is tried again.", cancellationToken));
                var elapsed = clock.GetElapsedTime(began);
                stage.SetTag("crownest.run_entries", extracted.Entries);
                stage.SetTag("crownest.run_extracted_bytes", extracted.Bytes);
                RunMetrics.ExtractedBytes.Add(extracted.Bytes);
                LogExtracted(run.Id, extracted.Entries, extracted.Bytes, elapsed.TotalMilliseconds);
                return;
            }
            catch (ObjectStoreException failure)
            {
                throw new RunFailedException(
                    WorkspaceRunFailure.InternalError,
                    failure.IsDamaged ? "The stored archive is not what was uploaded." : "The archive cannot be read from storage.",
                    failure);
            }
            catch (AgentUnavailableException failure) when (attempt < MaxSilences && !failure.BrokeProtocol)
            {
                // When it is dead its sandbox ends, and the extraction with it.
                LogAgentSilent(failure, run.Id, sandbox.Id);
                live.Suspect(sandbox.Id);
            }
            catch (AgentUnavailableException failure)
            {
                throw new RunFailedException(WorkspaceRunFailure.InternalError, "The sandbox does not take the archive.", failure);
            }

            await Task.Delay(SilencePause, clock, cancellationToken);
            sandbox.Ended.ThrowIfCancellationRequested();
        }
    }

    private async Task<AgentExtracted> ExtractOnceAsync(ClaimedRun run, LiveSandbox sandbox, CancellationToken cancellationToken)
    {
        var (row, limit) = (run.Row, options.Value.Runs.ExtractionLimit);
        using var timeout = new CancellationTokenSource(limit, clock);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, sandbox.Ended, timeout.Token);
        try
        {
            await using var opened = await objects.GetAsync(row.ArchiveKey!, range: null, ending.Token);
            if (opened?.TotalLength != row.ArchiveSizeBytes)
            {
                throw new ObjectStoreException("The archive is missing or damaged.") { IsDamaged = true };
            }

            await using var verified = opened!.Verified(row.ArchiveSha256!);
            return await files.ExtractAsync(
                sandbox.Agent, Limits.Workspace, verified.Content, opened.Length, row.Allowance.MaxUnpackedBytes, row.Allowance.MaxEntries,
                ending.Token);
        }
        catch (AgentErrorException refusal)
        {
            var error = AgentFailures.Refused(refusal);
            throw new RunFailedException(
                error.Code switch
                {
                    ErrorCodes.ArchiveInvalid => WorkspaceRunFailure.ArchiveInvalid,
                    ErrorCodes.ArchiveTooLarge => WorkspaceRunFailure.ArchiveTooLarge,
                    _ => WorkspaceRunFailure.ExtractionFailed,
                },
                error.Message, refusal);
        }
        catch (OperationCanceledException exception) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested
            && !sandbox.Ended.IsCancellationRequested)
        {
            throw new RunFailedException(
                WorkspaceRunFailure.ExtractionFailed, $"The archive was not extracted within {limit}.", exception);
        }
    }

    [LoggerMessage(6430, LogLevel.Information, "Run {RunId}: {Entries} entries, {Bytes} bytes are extracted after {Milliseconds:0.0} ms")]
    private partial void LogExtracted(string runId, long entries, long bytes, double milliseconds);

    [LoggerMessage(6432, LogLevel.Warning, "Run {RunId}: the agent of {SandboxId} does not take the archive")]
    private partial void LogAgentSilent(Exception exception, string runId, string sandboxId);
}
