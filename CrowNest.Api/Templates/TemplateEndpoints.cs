using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Templates;
using Microsoft.EntityFrameworkCore;

namespace CrowNest.Api.Templates;

/// <summary>Template discovery (docs/reference/api.md 16).</summary>
internal static class TemplateEndpoints
{
    public static void MapTemplates(this RouteGroupBuilder v1)
    {
        v1.MapGet("/templates", ListAsync).AnyScope().WithOperation("listTemplates", "Templates", "List the sandbox templates",
            o => o with { Response = typeof(Page<Template>) });
        v1.MapGet("/templates/{slug}", GetAsync).AnyScope().WithOperation("getTemplate", "Templates", "Get a sandbox template",
            o => o with { Response = typeof(TemplateResponse) });
    }

    private static async Task<Page<Template>> ListAsync(
        IDbContextFactory<CrowNestDb> databases, TemplateVersionStore versions, CancellationToken cancellationToken) =>
        new(await ReadAsync(databases, versions, cancellationToken), HasMore: false);

    private static async Task<TemplateResponse> GetAsync(
        string slug, IDbContextFactory<CrowNestDb> databases, TemplateVersionStore versions, CancellationToken cancellationToken) =>
        new((await ReadAsync(databases, versions, cancellationToken)).SingleOrDefault(t => t.Slug == slug)
            ?? throw ApiException.NotFound("Template"));

    /// <summary>In the contract's order; four rows, so that reading one is reading all.</summary>
    private static async Task<List<Template>> ReadAsync(
        IDbContextFactory<CrowNestDb> databases, TemplateVersionStore versions, CancellationToken cancellationToken)
    {
        await using var database = await databases.CreateDbContextAsync(cancellationToken);
        var templates = await database.Templates.AsNoTracking().ToListAsync(cancellationToken);
        // Newest first: the first of each template is its latest.
        var latest = (await versions.ListAsync(cancellationToken)).GroupBy(v => v.TemplateId).ToDictionary(g => g.Key, g => g.First());
        return
        [
            .. templates.OrderBy(t => TemplateSlugs.All.IndexOf(t.Slug)).Select(t => new Template(
                t.Id, t.Slug, t.Description,
                latest.TryGetValue(t.Id, out var v) ? new TemplateVersion(v.Id, v.Version, v.CreatedAt) : null)),
        ];
    }

    private static int IndexOf(this IReadOnlyList<string> slugs, string slug) => slugs.ToList().IndexOf(slug);
}
