using Npgsql;
using NpgsqlTypes;

namespace CrowNest.Platform.Tenancy;

/// <summary>
/// What a caller may see: one organization, and when the key is restricted, some of its projects. Every query on a caller's behalf takes
/// it and puts it into its WHERE, so that a foreign id and an unknown one are the same nothing (docs/reference/api.md 2.3).
/// </summary>
/// <param name="ProjectIds">null: all projects of the organization.</param>
public sealed record Ownership(string OrgId, string[]? ProjectIds)
{
    /// <summary>Condition over a table with <c>org_id</c> and <c>project_id</c>; wants <see cref="AddTo"/>.</summary>
    internal static string Sql(string alias) =>
        $"{alias}.org_id = @owner_org AND (@owner_projects IS NULL OR {alias}.project_id = ANY(@owner_projects))";

    internal void AddTo(NpgsqlParameterCollection parameters)
    {
        parameters.AddWithValue("owner_org", OrgId);
        parameters.Add(new NpgsqlParameter("owner_projects", NpgsqlDbType.Array | NpgsqlDbType.Text) { Value = (object?)ProjectIds ?? DBNull.Value });
    }
}

/// <summary>Position in a list ordered by creation, newest first; ties by id (docs/reference/api.md 2.7).</summary>
public sealed record ListPosition(DateTimeOffset CreatedAt, string Id);
