using System.Globalization;
using CrowNest.Contracts;
using CrowNest.Worker.Runtime;

namespace CrowNest.Worker.Templates;

/// <summary>An image of the node that is a version of a template.</summary>
/// <param name="VersionId"><c>tplv_(slug)_(digest)</c>: one image is one version on every node.</param>
/// <param name="Version">Label for people.</param>
/// <param name="Network">Default policy of its sandboxes.</param>
internal sealed record TemplateImage(
    string VersionId, string Slug, string Version, string ImageId, string Network, DateTimeOffset CreatedAt)
{
    public const string SlugLabel = "crownest.template";
    public const string VersionLabel = "crownest.template.version";
    public const string NetworkLabel = "crownest.network";

    private const string DigestPrefix = "sha256:";
    private const int DigestLength = 16;

    /// <summary>null when the image's template is none of ours.</summary>
    public static TemplateImage? From(EngineImage image)
    {
        if (image.Labels is not { } labels || !labels.TryGetValue(SlugLabel, out var slug) || !TemplateSlugs.All.Contains(slug))
        {
            return null;
        }

        var digest = image.Id.StartsWith(DigestPrefix, StringComparison.Ordinal) ? image.Id[DigestPrefix.Length..] : image.Id;
        var created = DateTimeOffset.FromUnixTimeSeconds(image.Created);
        return new(
            $"{Ids.TemplateVersion}_{slug.Replace('-', '_')}_{digest[..DigestLength]}",
            slug,
            labels.GetValueOrDefault(VersionLabel) ?? created.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            image.Id,
            labels.GetValueOrDefault(NetworkLabel) == NetworkPolicy.Internet ? NetworkPolicy.Internet : NetworkPolicy.None,
            created);
    }
}
