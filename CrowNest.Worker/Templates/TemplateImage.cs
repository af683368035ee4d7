using System.Globalization;
using CrowNest.Contracts;
using Docker.DotNet.Models;

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
    public static TemplateImage? From(ImagesListResponse image)
    {
        if (image.Labels is not { } labels || !labels.TryGetValue(SlugLabel, out var slug) || !TemplateSlugs.All.Contains(slug))
        {
            return null;
        }

        var digest = image.ID.StartsWith(DigestPrefix, StringComparison.Ordinal) ? image.ID[DigestPrefix.Length..] : image.ID;
        var created = new DateTimeOffset(image.Created);
        return new(
            $"{Ids.TemplateVersion}_{slug.Replace('-', '_')}_{digest[..DigestLength]}",
            slug,
            Value(labels, VersionLabel) ?? created.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            image.ID,
            Value(labels, NetworkLabel) == NetworkPolicy.Internet ? NetworkPolicy.Internet : NetworkPolicy.None,
            created);
    }

    private static string? Value(IDictionary<string, string> labels, string label) =>
        labels.TryGetValue(label, out var value) ? value : null;
}
