using System.ComponentModel.DataAnnotations;
using CrowNest.Contracts;

namespace CrowNest.Api.Sandboxes;

/// <summary>What callers may ask of a sandbox; section <c>Api:Sandboxes</c>.</summary>
internal sealed class SandboxOptions
{
    public const string Section = "Api:Sandboxes";

    /// <summary>Slug of the template that a create without one means.</summary>
    [Required]
    public string DefaultTemplate { get; set; } = TemplateSlugs.Default;

    /// <summary>Lifetime of a create without <c>ttlMs</c>, or the plan's ceiling when that is less.</summary>
    [Range(1, long.MaxValue)]
    public long DefaultTtlMs { get; set; } = 3_600_000;

    /// <summary>Whether <c>extend</c> exists (docs/reference/api.md OP-2).</summary>
    public bool AllowExtend { get; set; } = true;

    /// <summary>Whether a sandbox may have the network <c>internet</c>.</summary>
    public bool AllowInternet { get; set; } = true;

    /// <summary>How long a create waits for <c>ready</c> (docs/reference/api.md 4.3).</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan ReadyWait { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long work waits for a sandbox that is still being made (docs/reference/api.md 4.3).</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan WorkWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a kill waits for the cleanup; above the nodes' lease, so that a lost node's books are closed within it.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan KillWait { get; set; } = TimeSpan.FromSeconds(30);
}
