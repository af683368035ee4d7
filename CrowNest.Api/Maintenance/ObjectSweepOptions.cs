using System.ComponentModel.DataAnnotations;

namespace CrowNest.Api.Maintenance;

/// <summary>When objects that nothing needs are removed; section <c>Api:Objects</c>.</summary>
internal sealed class ObjectSweepOptions
{
    public const string Section = "Api:Objects";

    /// <summary>Time between two looks at the whole store.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "7.00:00:00")]
    public TimeSpan Interval { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Archives younger than this are left alone: between the end of an upload and the row that names it, nothing does. Above the longest
    /// time that an upload may take, because some stores date an object from the beginning of its upload.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "30.00:00:00")]
    public TimeSpan SpareArchives { get; set; } = TimeSpan.FromHours(6);

    /// <summary>The same of everything else, which is smaller and has a row earlier.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "30.00:00:00")]
    public TimeSpan SpareOthers { get; set; } = TimeSpan.FromDays(1);
}
