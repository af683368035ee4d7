using System.Text.Json;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Database;
using Npgsql;

namespace CrowNest.Platform.WorkspaceRuns;

/// <content>Rows as they are read.</content>
public sealed partial class WorkspaceRunStore
{
    private static WorkspaceRunRow Read(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetString(0),
        OrgId = reader.GetString(1),
        ProjectId = reader.GetString(2),
        Status = reader.GetString(3),
        Command = reader.GetString(4),
        TimeoutMs = reader.GetInt64(5),
        KeepSandbox = reader.GetBoolean(6),
        Metadata = JsonSerializer.Deserialize<Dictionary<string, string>>(reader.GetString(7))!,
        SourceMetadata = reader.IsDBNull(8) ? null : JsonSerializer.Deserialize<Dictionary<string, string>>(reader.GetString(8)),
        Artifacts = JsonSerializer.Deserialize<CollectItem[]>(reader.GetString(9), Json)!,
        Allowance = JsonSerializer.Deserialize<RunAllowance>(reader.GetString(10), Json)!,
        TemplateId = reader.GetString(11),
        TemplateSlug = reader.GetString(12),
        TemplateVersion = reader.GetString(13),
        TemplateVersionId = reader.GetString(14),
        WarmSandboxId = reader.GetStringOrNull(15),
        CreatedAt = reader.GetFieldValue<DateTimeOffset>(16),
        ArchiveSha256 = reader.GetStringOrNull(17),
        ArchiveSizeBytes = reader.GetLongOrNull(18),
        ArchiveKey = reader.GetStringOrNull(19),
        UploadedAt = reader.GetTimeOrNull(20),
        SandboxId = reader.GetStringOrNull(21),
        CommandId = reader.GetStringOrNull(22),
        StartedAt = reader.GetTimeOrNull(23),
        FinishedAt = reader.GetTimeOrNull(24),
        ExitCode = reader.GetIntOrNull(25),
        ArtifactIds = reader.GetFieldValue<string[]>(26),
        ArtifactErrors = JsonSerializer.Deserialize<CollectFailure[]>(reader.GetString(27), Json)!,
        CleanupStatus = reader.GetStringOrNull(28),
        FailureReason = reader.GetStringOrNull(29),
        FailureClass = reader.GetStringOrNull(30),
        FailureMessage = reader.GetStringOrNull(31),
        OrchestrationSucceeded = reader.IsDBNull(32) ? null : reader.GetBoolean(32),
        ClaimedBy = reader.GetStringOrNull(33),
        LastSeq = reader.GetInt64(34),
        OutputSeq = reader.GetInt64(35),
        OutputBytes = reader.GetInt64(36),
        OutputTruncated = reader.GetBoolean(37),
        EvidenceKey = reader.GetStringOrNull(38),
        EvidenceSha256 = reader.GetStringOrNull(39),
        ClosedAt = reader.GetTimeOrNull(40),
    };
}
