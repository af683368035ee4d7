using CrowNest.Contracts;
using CrowNest.Platform.Templates;
using CrowNest.Worker.Containers;

namespace CrowNest.Worker.Templates;

/// <summary>The template versions that this node has, as of the last scan.</summary>
internal sealed partial class TemplateImages(EngineClient engine, TemplateVersionStore store, ILogger<TemplateImages> logger) : IDisposable
{
    private readonly SemaphoreSlim _scan = new(1);
    private readonly HashSet<string> _registered = [];
    private volatile Dictionary<string, TemplateImage> _byVersion = [];

    public IReadOnlyCollection<TemplateImage> All => _byVersion.Values;

    /// <summary>The newest version of each template.</summary>
    public IEnumerable<TemplateImage> Latest =>
        _byVersion.Values.GroupBy(image => image.Slug).Select(versions => versions.MaxBy(image => (image.CreatedAt, image.VersionId))!);

    /// <summary>The image of a version; looks again when it is not known yet.</summary>
    public async Task<TemplateImage?> FindAsync(string versionId, CancellationToken cancellationToken)
    {
        if (!_byVersion.TryGetValue(versionId, out var image))
        {
            await ScanAsync(cancellationToken);
            _byVersion.TryGetValue(versionId, out image);
        }

        return image;
    }

    /// <summary>Asks the engine for its images, and registers versions that are new.</summary>
    /// <returns>Whether every version is registered; a template's row may not be there yet on the very first start.</returns>
    public async Task<bool> ScanAsync(CancellationToken cancellationToken)
    {
        await _scan.WaitAsync(cancellationToken);
        try
        {
            var images = await engine.ListImagesAsync(TemplateImage.SlugLabel, cancellationToken);
            var found = images.Select(TemplateImage.From).OfType<TemplateImage>()
                .DistinctBy(image => image.VersionId).ToDictionary(image => image.VersionId);
            _byVersion = found;
            foreach (var image in found.Values.Where(image => !_registered.Contains(image.VersionId)))
            {
                var row = new TemplateVersionRow(
                    image.VersionId, TemplateSlugs.TemplateId(image.Slug), image.Slug, image.Version, image.ImageId, image.Network,
                    image.CreatedAt);
                if (await store.AddAsync(row, cancellationToken))
                {
                    _registered.Add(image.VersionId);
                    LogFound(image.Slug, image.Version, image.VersionId);
                }
            }

            return _registered.IsSupersetOf(found.Keys);
        }
        finally
        {
            _scan.Release();
        }
    }

    public void Dispose() => _scan.Dispose();

    [LoggerMessage(5201, LogLevel.Information, "Template {Slug} {Version} is here as {VersionId}")]
    private partial void LogFound(string slug, string version, string versionId);
}
