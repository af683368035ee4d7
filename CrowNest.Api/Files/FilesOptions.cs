using System.ComponentModel.DataAnnotations;

namespace CrowNest.Api.Files;

/// <summary>Bounds of work on files; section <c>Api:Files</c>. Sizes are bytes.</summary>
internal sealed class FilesOptions
{
    public const string Section = "Api:Files";

    private const long GiB = 1024 * 1024 * 1024;

    /// <summary>Largest body of an upload, an archive's included.</summary>
    [Range(1, long.MaxValue)]
    public long MaxUploadBytes { get; set; } = GiB;

    /// <summary>Most entries of one listing; the rest is told of as <c>truncated</c>.</summary>
    [Range(1, 1_000_000)]
    public int MaxListEntries { get; set; } = 50_000;

    /// <summary>What an archive may unpack to (docs/reference/api.md 10.6).</summary>
    [Range(1, long.MaxValue)]
    public long MaxArchiveBytes { get; set; } = 2 * GiB;

    /// <inheritdoc cref="MaxArchiveBytes"/>
    [Range(1, int.MaxValue)]
    public int MaxArchiveEntries { get; set; } = 200_000;
}
