using CrowNest.Contracts;
using Npgsql;

namespace CrowNest.Platform.Templates;

/// <summary>A version that some node has, or had.</summary>
public sealed record TemplateVersionRow(
    string Id, string TemplateId, string Slug, string Version, string ImageDigest, string Network, DateTimeOffset CreatedAt);

/// <summary>Template versions: added by workers as they find images, never changed.</summary>
public sealed class TemplateVersionStore(NpgsqlDataSource database)
{
    private const string Select = """
        SELECT v.id, v.template_id, t.slug, v.version, v.image_digest, v.network, v.created_at
        FROM template_versions v JOIN templates t ON t.id = v.template_id
        """;

    /// <summary>Adds a version if it is new.</summary>
    /// <returns>false when its template has no row (yet): the API adds those of <see cref="TemplateSlugs"/> on its first start.</returns>
    public async Task<bool> AddAsync(TemplateVersionRow version, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand("""
            WITH template AS (SELECT id FROM templates WHERE id = @template),
            added AS (
                INSERT INTO template_versions (id, template_id, version, image_digest, network, created_at)
                SELECT @id, id, @version, @digest, @network, @created FROM template
                ON CONFLICT (id) DO NOTHING)
            SELECT EXISTS (SELECT FROM template)
            """);
        sql.Parameters.AddWithValue("id", version.Id);
        sql.Parameters.AddWithValue("template", version.TemplateId);
        sql.Parameters.AddWithValue("version", version.Version);
        sql.Parameters.AddWithValue("digest", version.ImageDigest);
        sql.Parameters.AddWithValue("network", version.Network);
        sql.Parameters.AddWithValue("created", version.CreatedAt);
        return (bool)(await sql.ExecuteScalarAsync(cancellationToken))!;
    }

    public async Task<List<TemplateVersionRow>> ListAsync(CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand($"{Select} ORDER BY v.created_at DESC, v.id");
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var rows = new List<TemplateVersionRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), reader.GetString(4),
                reader.GetString(5), reader.GetFieldValue<DateTimeOffset>(6)));
        }

        return rows;
    }
}
