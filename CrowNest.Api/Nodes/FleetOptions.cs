using System.ComponentModel.DataAnnotations;

namespace CrowNest.Api.Nodes;

/// <summary>How this instance deals with the nodes; section <c>Api:Fleet</c>.</summary>
internal sealed class FleetOptions
{
    public const string Section = "Api:Fleet";

    /// <summary>How old the view of stock and load may be when a node is chosen.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:00:30")]
    public TimeSpan ViewAge { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Redis only helps to choose: no request waits longer than this for it.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:00:05")]
    public TimeSpan SnapshotWait { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Time between two looks for nodes whose lease lapsed.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "00:01:00")]
    public TimeSpan BooksInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The database must have answered for this long before a lapsed lease counts: while it was away nobody could renew. Not below the
    /// time within which workers renew again after an outage.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan OutageGrace { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A sandbox that no node took on is given up after this time: the instance that accepted it is gone. Not below what a living one
    /// takes to ask all nodes.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan AbandonedAfter { get; set; } = TimeSpan.FromMinutes(2);
}
