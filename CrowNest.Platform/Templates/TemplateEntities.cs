namespace CrowNest.Platform.Templates;

public sealed class TemplateEntity
{
    public required string Id { get; set; }
    public required string Slug { get; set; }
    public required string Description { get; set; }
}

public sealed class TemplateVersionEntity
{
    /// <summary>Derived from <see cref="ImageDigest"/>, so that one image is one version everywhere.</summary>
    public required string Id { get; set; }
    public required string TemplateId { get; set; }
    public required string Version { get; set; }
    public required string ImageDigest { get; set; }

    /// <summary>Default policy of sandboxes of this version: <c>none</c> or <c>internet</c>.</summary>
    public required string Network { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}
