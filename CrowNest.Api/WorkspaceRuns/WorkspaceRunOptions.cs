using System.ComponentModel.DataAnnotations;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>Bounds and times of workspace runs; section <c>Api:WorkspaceRuns</c>.</summary>
internal sealed class WorkspaceRunOptions
{
    public const string Section = "Api:WorkspaceRuns";

    /// <summary>Largest archive of a direct upload, in bytes (docs/reference/api.md 10.4).</summary>
    [Range(1, long.MaxValue)]
    public long MaxDirectArchiveBytes { get; set; } = 8 * 1024 * 1024;

    /// <summary>Largest archive of a staged upload, in bytes (docs/reference/api.md 10.5).</summary>
    [Range(1, long.MaxValue)]
    public long MaxArchiveBytes { get; set; } = 512L * 1024 * 1024;

    /// <summary>Bytes that an archive may unpack to (docs/reference/api.md 10.6).</summary>
    [Range(1, long.MaxValue)]
    public long MaxUnpackedBytes { get; set; } = 2L * 1024 * 1024 * 1024;

    /// <summary>Entries that an archive may have (docs/reference/api.md 10.6).</summary>
    [Range(1, int.MaxValue)]
    public int MaxEntries { get; set; } = 200_000;

    /// <summary>How long a staged upload may be begun; one that has arrived waits as long for its finalize.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan TransferLifetime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>A run whose archive has not come by then has failed (docs/reference/api.md 10.2).</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "30.00:00:00")]
    public TimeSpan UploadWithin { get; set; } = TimeSpan.FromHours(24);

    /// <summary>A run that has its archive and is not started by then is canceled, and its archive goes (docs/protocols.md 9).</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "365.00:00:00")]
    public TimeSpan StartWithin { get; set; } = TimeSpan.FromDays(7);

    /// <summary>A started run that no worker carries by then has failed (docs/protocols.md 9).</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan UnclaimedAfter { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long the archive of a run that has ended is kept; its evidence keeps the digest.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "3650.00:00:00")]
    public TimeSpan KeepArchives { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Time between two looks for abandoned runs.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "01:00:00")]
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Followers look for new events by themselves after this time, whether they were woken or not.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);
}
