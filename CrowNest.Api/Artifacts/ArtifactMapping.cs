using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;

namespace CrowNest.Api.Artifacts;

internal static class ArtifactMapping
{
    /// <summary>A stored row, or the tombstone of one, as the API shows it (docs/reference/api.md 7.1).</summary>
    public static Artifact ToArtifact(this ArtifactRow row) => new()
    {
        Id = row.Id,
        OrgId = row.OrgId,
        ProjectId = row.ProjectId,
        SandboxId = row.SandboxId,
        Name = row.Name,
        ObjectKey = row.ObjectKey,
        SizeBytes = row.SizeBytes ?? throw Unfinished(row),
        CreatedAt = row.CreatedAt,
        ContentType = row.ContentType,
        SourcePath = row.SourcePath,
        RetentionExpiresAt = row.RetentionExpiresAt,
        DeletedAt = row.DeletedAt,
        RemotePath = row.RemotePath,
        Sha256 = row.Sha256 ?? throw Unfinished(row),
        Metadata = row.Metadata,
        SessionId = row.SessionId,
    };

    private static InvalidOperationException Unfinished(ArtifactRow row) => new($"Artifact {row.Id} is {row.State} and not to be shown.");
}
