using System.Diagnostics;
using System.Text.Json.Nodes;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Artifacts;

/// <summary>
/// Exports a file: the row is written first, then the node stores the bytes and makes the artifact visible. Once the row is there the
/// export goes on whatever becomes of the caller.
/// </summary>
internal sealed partial class ArtifactCreation(
    ArtifactStore store, SandboxReadiness readiness, SandboxNode node, NodeClient client, IOptions<ArtifactOptions> options,
    IOptions<ApiOptions> api, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<ArtifactCreation> logger)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>How long the export of a lost instance is waited for before another one is begun.</summary>
    private static readonly TimeSpan ResumeWait = TimeSpan.FromSeconds(30);

    private sealed record Announced(string WorkerId, long MaxBytes, bool MaxIsQuota);

    /// <summary>What the caller's artifacts may be, and how long they are kept.</summary>
    public ArtifactBounds Bounds(Caller caller) =>
        new(TimeSpan.FromDays(api.Value.Limits(caller.Plan).ArtifactRetentionDays), options.Value.MaxBytes);

    /// <summary>Exports a file of the caller's sandbox.</summary>
    /// <param name="cancellationToken">Ends the wait for the sandbox, not the export.</param>
    public async Task<ArtifactRow> CreateAsync(
        Caller caller, string sandboxId, CheckedArtifact wanted, byte[]? idempotencyId, CancellationToken cancellationToken)
    {
        var id = Ids.New(Ids.Artifact);
        var key = ObjectKey.Artifact(caller.OrgId, id);
        var announced = await readiness.AcceptAsync(
            () => AnnounceAsync(caller, id, key, sandboxId, wanted, idempotencyId), cancellationToken);
        Activity.Current?.SetTag("crownest.artifact_id", id);
        try
        {
            var export = new StoreArtifact(id, key, wanted.SourcePath, announced.MaxBytes);
            return await node.CallAsync(
                sandboxId, announced.WorkerId, w => client.StoreArtifactAsync(w, sandboxId, export, lifetime.ApplicationStopping),
                lifetime.ApplicationStopping);
        }
        catch (ApiException e)
        {
            // The node cleans up after what it refuses. When it was not heard, it may yet finish: what the caller is told must stay true.
            if (!await store.AbandonAsync(id, time.GetUtcNow(), CancellationToken.None)
                && await store.FindAsync(id, CancellationToken.None) is { State: ArtifactStates.Stored } stored)
            {
                LogFinishedUnheard(id, e.Code);
                return stored;
            }

            throw e.Code == ErrorCodes.FileTooLarge ? TooLarge(announced) : e;
        }
    }

    /// <summary>The artifact of an earlier attempt under the same idempotency key, whose instance is gone; null when it came to nothing.</summary>
    public async Task<ArtifactRow?> ResumeAsync(string artifactId, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        while (await store.FindAsync(artifactId, cancellationToken) is { } row)
        {
            if (row.State != ArtifactStates.Storing)
            {
                return row.State == ArtifactStates.Stored ? row : null;
            }

            if (time.GetElapsedTime(began) < ResumeWait)
            {
                await Task.Delay(PollInterval, time, cancellationToken);
            }
            else
            {
                await store.AbandonAsync(artifactId, time.GetUtcNow(), cancellationToken);
            }
        }

        return null;
    }

    private async Task<WorkAttempt<Announced>> AnnounceAsync(
        Caller caller, string id, string key, string sandboxId, CheckedArtifact wanted, byte[]? idempotencyId)
    {
        var now = time.GetUtcNow();
        var row = new NewArtifact
        {
            Id = id,
            SandboxId = sandboxId,
            Name = wanted.Name,
            ObjectKey = key,
            ContentType = wanted.ContentType,
            SourcePath = wanted.SourcePath,
            RemotePath = wanted.RemotePath,
            Metadata = wanted.Metadata,
            SessionId = wanted.SessionId,
            CreatedAt = now,
            RetentionExpiresAt = now + Bounds(caller).Retention,
        };
        var limits = options.Value;
        var insert = await store.InsertAsync(caller.Ownership, row, limits.MaxStoredBytes, idempotencyId, CancellationToken.None)
            ?? throw ApiException.NotFound("Sandbox");
        if (insert is { Added: false, SandboxState: SandboxStatus.Ready })
        {
            throw QuotaExceeded(insert.StoredBytes ?? 0);
        }

        var room = limits.MaxStoredBytes - insert.StoredBytes ?? long.MaxValue;
        return new WorkAttempt<Announced>(
            insert is { Added: true, WorkerId: { } workerId }
                ? new Announced(workerId, Math.Min(limits.MaxBytes, room), room < limits.MaxBytes)
                : null,
            insert.SandboxState);
    }

    private ApiException TooLarge(Announced announced) => announced.MaxIsQuota
        ? QuotaExceeded((options.Value.MaxStoredBytes ?? 0) - announced.MaxBytes)
        : new ApiException(ErrorCodes.FileTooLarge, $"An artifact may have at most {announced.MaxBytes} bytes.",
            new JsonObject { ["max"] = announced.MaxBytes });

    private ApiException QuotaExceeded(long current) => new(
        ErrorCodes.QuotaExceeded, "The organization keeps as many bytes of artifacts as it may: delete some.",
        new JsonObject { ["quota"] = "artifact_bytes_stored", ["limit"] = options.Value.MaxStoredBytes, ["current"] = current });

    [LoggerMessage(2400, LogLevel.Information, "Artifact {ArtifactId}: its node finished the export although the answer was {Code}.")]
    private partial void LogFinishedUnheard(string artifactId, string code);
}
