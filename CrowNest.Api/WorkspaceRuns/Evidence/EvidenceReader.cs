using System.Text.Json;
using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Platform.WorkspaceRuns.Evidence;

namespace CrowNest.Api.WorkspaceRuns.Evidence;

/// <summary>The body of an answer: evidence as it was stored, with every member it had then.</summary>
internal sealed record EvidenceAnswer(JsonObject Evidence);

/// <summary>
/// Evidence from object storage, held against the digest in the run's row. The one member that may change after it was stored,
/// <c>cleanupStatus</c>, is the row's.
/// </summary>
internal sealed partial class EvidenceReader(WorkspaceRunStore runs, IObjectStore objects, ILogger<EvidenceReader> logger)
{
    /// <summary>Far above what a run can say of itself.</summary>
    private const long MaxBytes = 16 * 1024 * 1024;

    /// <exception cref="ApiException">404; 409: not stored yet; 502: storage does not give it, or not as it was stored.</exception>
    public async Task<JsonObject> ReadAsync(Ownership owner, string runId, CancellationToken cancellationToken)
    {
        var run = await FindAsync(owner, runId, cancellationToken);
        if (run is not { EvidenceKey: { } key, EvidenceSha256: { } sha256 })
        {
            throw new ApiException(
                ErrorCodes.Conflict, "The run's evidence is not stored yet.", new JsonObject { ["status"] = run.Status });
        }

        try
        {
            var evidence = await LoadAsync(key, cancellationToken);
            if (evidence is null || DigestOf(evidence) != sha256)
            {
                LogBroken(runId, key);
                throw Unusable("The run's evidence is missing from storage, or is not what was stored.");
            }

            evidence["cleanupStatus"] = run.CleanupStatus ?? WorkspaceRunCleanup.NotRequested;
            return evidence;
        }
        catch (ObjectStoreException e)
        {
            LogAway(runId, e);
            throw Unusable("The run's evidence cannot be read at the moment: its store does not answer. Try again.");
        }
    }

    public async Task<WorkspaceRunRow> FindAsync(Ownership owner, string runId, CancellationToken cancellationToken) =>
        await runs.FindAsync(owner, runId, cancellationToken) ?? throw ApiException.NotFound("Workspace run");

    /// <summary>What is signed (RFC 8785).</summary>
    public static byte[] ToCanonicalBytes(JsonObject evidence) => CanonicalJson.Write(evidence.Deserialize<JsonElement>());

    private async Task<JsonObject?> LoadAsync(string key, CancellationToken cancellationToken)
    {
        await using var stored = await objects.GetAsync(key, range: null, cancellationToken);
        if (stored is null || stored.TotalLength > MaxBytes)
        {
            return null;
        }

        try
        {
            return await JsonNode.ParseAsync(stored.Content, cancellationToken: cancellationToken) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>null: it has what evidence never has, a fraction for example or one member twice.</summary>
    private static string? DigestOf(JsonObject evidence)
    {
        try
        {
            return RunEvidence.Digest(evidence);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    private static ApiException Unusable(string message) => new(ErrorCodes.DownloadExportFailed, message);

    [LoggerMessage(2570, LogLevel.Error, "Run {RunId}: its evidence {Key} is missing or not what was stored.")]
    private partial void LogBroken(string runId, string key);

    [LoggerMessage(2571, LogLevel.Warning, "Run {RunId}: its evidence cannot be read.")]
    private partial void LogAway(string runId, Exception exception);
}
