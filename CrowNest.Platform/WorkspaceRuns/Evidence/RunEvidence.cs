using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;

namespace CrowNest.Platform.WorkspaceRuns.Evidence;

/// <summary>Builds a run's evidence, and the digest that makes it comparable (docs/reference/api.md 10.9).</summary>
public static class RunEvidence
{
    /// <summary>The evidence of a run that ends as <paramref name="end"/> says; its row is not final yet, or says the same.</summary>
    /// <param name="artifacts">The run's artifacts, in the order of their ids in the row.</param>
    /// <param name="terminal">The <c>terminal</c> event to come.</param>
    public static WorkspaceRunEvidence Build(
        WorkspaceRunRow row, WorkspaceRunEnd end, IEnumerable<ArtifactRow> artifacts, EvidenceTerminalEvent terminal)
    {
        ArgumentNullException.ThrowIfNull(row);
        ArgumentNullException.ThrowIfNull(end);
        var failureClass = end.Status == WorkspaceRunStatus.Canceled ? WorkspaceRunFailure.ClassCanceled
            : end.FailureReason is { } reason ? WorkspaceRunFailure.ClassOf(reason) : null;
        var evidence = new WorkspaceRunEvidence
        {
            WorkspaceRunId = row.Id,
            OrgId = row.OrgId,
            ProjectId = row.ProjectId,
            Status = end.Status,
            Command = row.Command,
            CreatedAt = row.CreatedAt,
            Metadata = row.Metadata,
            ArtifactErrors = row.ToArtifactErrors(),
            ArtifactIds = row.ArtifactIds,
            EnvKeys = [],
            CleanupStatus = row.CleanupStatus ?? WorkspaceRunCleanup.NotRequested,
            OrchestrationSucceeded = failureClass != WorkspaceRunFailure.ClassPlatform,
            Archive = row.ToArchive(),
            CommandId = row.CommandId,
            SandboxId = row.SandboxId,
            ExitCode = row.ExitCode,
            DurationMs = WorkspaceRunMapping.DurationMs(row.StartedAt, end.FinishedAt),
            StartedAt = row.StartedAt,
            FinishedAt = end.FinishedAt,
            TimeoutMs = row.TimeoutMs,
            SourceMetadata = row.SourceMetadata,
            FailureClass = failureClass,
            FailureReason = end.FailureReason,
            FailureMessage = end.FailureMessage,
            TemplateId = row.TemplateId,
            TemplateSlug = row.TemplateSlug,
            TemplateVersion = row.TemplateVersion,
            TemplateVersionId = row.TemplateVersionId,
            Artifacts =
            [
                .. artifacts.Select(a => new EvidenceArtifact(a.Id, a.SourcePath ?? a.Name, a.Name, a.SizeBytes ?? 0, a.Sha256 ?? "")),
            ],
            OutputTruncated = row.OutputTruncated ? true : null,
            TerminalEvent = terminal,
        };
        return evidence with { EvidenceSha256 = Digest(evidence) };
    }

    /// <summary>The digest that the evidence must carry: over the canonical JSON of everything but itself and <c>cleanupStatus</c>.</summary>
    public static string Digest(WorkspaceRunEvidence evidence) =>
        Digest(JsonSerializer.SerializeToNode(evidence, CrowNestJson.Options)!.AsObject());

    /// <summary>The same of evidence as it was stored, perhaps by another version with other members.</summary>
    /// <exception cref="ArgumentException">A number in it is none that evidence has.</exception>
    public static string Digest(JsonObject evidence)
    {
        ArgumentNullException.ThrowIfNull(evidence);
        var json = evidence.DeepClone().AsObject();
        json.Remove("cleanupStatus");
        json.Remove("evidenceSha256");
        return Convert.ToHexStringLower(SHA256.HashData(CanonicalJson.Write(json.Deserialize<JsonElement>())));
    }

    /// <summary>The bytes that are stored and signed.</summary>
    public static byte[] ToCanonicalBytes(WorkspaceRunEvidence evidence) =>
        CanonicalJson.Write(JsonSerializer.SerializeToElement(evidence, CrowNestJson.Options));
}
