using System.ComponentModel.DataAnnotations;

namespace CrowNest.Api.Artifacts;

/// <summary>Bounds of artifacts; section <c>Api:Artifacts</c>. How long they are kept is a matter of the plan.</summary>
internal sealed class ArtifactOptions
{
    public const string Section = "Api:Artifacts";

    /// <summary>Largest artifact in bytes.</summary>
    [Range(1, long.MaxValue)]
    public long MaxBytes { get; set; } = 1024L * 1024 * 1024;

    /// <summary>
    /// Bytes that one organization may keep; null: any number. An export counts when it has ended, so those that run at the same time may
    /// exceed it together, each by what was left when it began.
    /// </summary>
    [Range(1, long.MaxValue)]
    public long? MaxStoredBytes { get; set; }

    /// <summary>Time between two looks for artifacts past their retention, and for bytes that are still to be removed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "1.00:00:00")]
    public TimeSpan RemovalInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>An export that has not finished after this time never will; above the longest that one can take.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "30.00:00:00")]
    public TimeSpan AbandonedAfter { get; set; } = TimeSpan.FromHours(24);
}

/// <summary>What the caller's plan and the deployment allow artifacts to be.</summary>
internal sealed record ArtifactBounds(TimeSpan Retention, long MaxBytes);
