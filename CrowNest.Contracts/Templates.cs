namespace CrowNest.Contracts;

/// <summary>A sandbox template and its newest version (docs/reference/api.md 16).</summary>
public sealed record Template(string Id, string Slug, string Description, TemplateVersion? LatestVersion);

/// <param name="Id"><c>tplv_…</c>, derived from the image's digest: immutable.</param>
/// <param name="Version">Label for people, for example <c>2026-11-22</c>.</param>
public sealed record TemplateVersion(string Id, string Version, DateTimeOffset CreatedAt);

/// <summary>The slugs every deployment has (docs/reference/api.md 16).</summary>
public static class TemplateSlugs
{
    public const string Default = "python-node";

    public static IReadOnlyList<string> All { get; } = ["base", "python", "node", Default];

    /// <summary><c>python-node</c> has the id <c>tpl_python_node</c>.</summary>
    public static string TemplateId(string slug) => $"{Ids.Template}_{slug.Replace('-', '_')}";
}

/// <param name="Template">The envelope's single resource.</param>
public sealed record TemplateResponse(Template Template);
