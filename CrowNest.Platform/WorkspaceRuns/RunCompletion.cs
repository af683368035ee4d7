using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns.Evidence;

namespace CrowNest.Platform.WorkspaceRuns;

/// <summary>
/// The last steps of a run, for the worker that carries it and for the API where no worker ever did: evidence, then the final status,
/// then <c>terminal</c> (H7). Every step may be repeated by whoever comes later.
/// </summary>
public sealed class RunCompletion(WorkspaceRunStore runs, ArtifactStore artifacts, IObjectStore objects, TimeProvider clock)
{
    /// <summary>
    /// Stores the evidence of the run and makes it final, as <paramref name="end"/> says or, when a cancel was first, as canceled.
    /// </summary>
    /// <param name="workerId">Who carries the run; null: nobody.</param>
    /// <param name="from">The status that <paramref name="end"/> was concluded from; null: it holds in any.</param>
    /// <returns>The final row with its evidence; null when the run is someone else's by now, or has gone on to another status.</returns>
    /// <exception cref="ObjectStoreException">The evidence cannot be stored now: nothing has changed; try again.</exception>
    public async Task<WorkspaceRunRow?> FinishAsync(
        string runId, string? workerId, WorkspaceRunEnd end, string? from, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(end);
        while (await runs.FindAsync(runId, cancellationToken) is { } row && row.ClaimedBy == workerId)
        {
            if (!row.IsFinal && from is not null && row.Status != from)
            {
                return null;
            }

            if (row.EvidenceKey is not null)
            {
                return row;
            }

            var isFinal = row.IsFinal;
            var actual = isFinal ? new WorkspaceRunEnd(row.Status, row.FinishedAt!.Value, row.FailureReason, row.FailureMessage) : end;
            var evidence = await StoreAsync(row, actual, isFinal ? 1 : 2, cancellationToken);
            var told = new WorkspaceRunEvent
            {
                Type = WorkspaceRunEventType.Status,
                Seq = 0,
                CreatedAt = actual.FinishedAt,
                Status = actual.Status,
            };
            // No row: something was told meanwhile, a cancel for example, and the evidence is made anew.
            var finished = isFinal
                ? await runs.SaveEvidenceAsync(runId, workerId, evidence, row.LastSeq, cancellationToken)
                : await runs.FinishAsync(runId, workerId, actual, evidence, row.LastSeq, told, cancellationToken);
            if (finished is not null)
            {
                return finished;
            }

            await objects.DeleteAsync(evidence.Key, cancellationToken);
        }

        return null;
    }

    /// <summary>Tells the end. The run's row is final, its evidence stored, its cleanup done.</summary>
    public async Task<WorkspaceRunRow?> CloseAsync(string runId, CancellationToken cancellationToken)
    {
        if (await runs.FindAsync(runId, cancellationToken) is not { ClosedAt: null, EvidenceKey: not null } row)
        {
            return null;
        }

        var now = clock.GetUtcNow();
        var terminal = new WorkspaceRunEvent
        {
            Type = WorkspaceRunEventType.Terminal,
            Seq = 0,
            CreatedAt = row.FinishedAt!.Value,
            WorkspaceRun = row.ToWorkspaceRun(),
        };
        return await runs.CloseAsync(runId, terminal, now, cancellationToken);
    }

    private async Task<StoredEvidence> StoreAsync(
        WorkspaceRunRow row, WorkspaceRunEnd end, int eventsToCome, CancellationToken cancellationToken)
    {
        var collected = new List<ArtifactRow>();
        foreach (var id in row.ArtifactIds)
        {
            collected.Add(await artifacts.FindAsync(id, cancellationToken)
                ?? throw new InvalidOperationException($"Artifact {id} of run {row.Id} has no row."));
        }

        var terminal = new EvidenceTerminalEvent(row.LastSeq + eventsToCome, end.FinishedAt, end.Status);
        var evidence = RunEvidence.Build(row, end, collected, terminal);
        var bytes = RunEvidence.ToCanonicalBytes(evidence);
        var key = ObjectKey.RunEvidence(row.OrgId, row.Id, Ids.New("ev"));
        using var content = new MemoryStream(bytes, writable: false);
        await objects.PutAsync(key, content, bytes.Length, cancellationToken);
        return new StoredEvidence(key, evidence.EvidenceSha256!);
    }
}
