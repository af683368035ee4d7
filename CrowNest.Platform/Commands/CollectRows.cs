namespace CrowNest.Platform.Commands;

/// <summary>
/// Files to export once a command is final (docs/reference/api.md 5.4), with what its caller's plan allowed at its acceptance.
/// </summary>
/// <param name="On"><c>success</c> or <c>always</c>.</param>
/// <param name="RetentionMs">How long the artifacts are kept.</param>
/// <param name="MaxBytes">Ceiling of one artifact.</param>
public sealed record CollectPlan(IReadOnlyList<CollectItem> Entries, string On, long RetentionMs, long MaxBytes);

/// <param name="Path">As the caller gave it; relative to <c>/workspace</c>.</param>
/// <param name="Name">null: the base name of the path.</param>
public sealed record CollectItem(string Path, string? Name = null);

/// <param name="Code"><c>artifact_collect_failed</c>, <c>file_not_found</c> or <c>path_outside_workspace</c>.</param>
public sealed record CollectFailure(string Code, string Message, string Path)
{
    /// <summary>
    /// Whatever is not one of the other two (docs/reference/api.md 5.1); a code of these errors only, never of an answer.
    /// </summary>
    public const string Failed = "artifact_collect_failed";
}

internal static class CollectSql
{
    /// <summary>
    /// What becomes of a pending collection when the sandbox goes, as assignments of an UPDATE of <c>commands c</c>: a command that was
    /// still active is not collected under <c>success</c>; everything else that was asked for has failed.
    /// </summary>
    public const string SandboxGone = $"""
        collect_status = CASE WHEN c.collect_status <> 'pending' THEN c.collect_status
                              WHEN c.finished_at IS NULL AND c.collect->>'on' <> 'always' THEN 'skipped' ELSE 'failed' END,
        collect_errors = CASE WHEN c.collect_status = 'pending' AND (c.finished_at IS NOT NULL OR c.collect->>'on' = 'always') THEN (
                SELECT jsonb_agg(jsonb_build_object('code', '{CollectFailure.Failed}', 'path', e->>'path',
                    'message', 'The sandbox was gone before the file could be exported.'))
                FROM jsonb_array_elements(c.collect->'entries') e)
            ELSE c.collect_errors END
        """;

    /// <summary>What the end of a command decides, with its parameters <c>@state</c> and <c>@exit_code</c>.</summary>
    public const string CommandEnded = """
        collect_status = CASE WHEN c.collect_status = 'pending' AND c.collect->>'on' <> 'always'
                                   AND NOT (@state = 'exited' AND coalesce(@exit_code, -1) = 0) THEN 'skipped'
                              ELSE c.collect_status END
        """;
}
