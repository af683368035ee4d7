using CrowNest.Api.WorkspaceRuns;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>Which objects of one kind go.</summary>
/// <param name="Prefix">Text that their keys begin with.</param>
/// <param name="Spare">Younger ones are left alone.</param>
/// <param name="ListUnneededAsync">Those of a page of keys that nothing needs at that time.</param>
internal sealed record ObjectRule(
    string Prefix, TimeSpan Spare, Func<List<string>, DateTimeOffset, CancellationToken, Task<List<string>>> ListUnneededAsync);

/// <summary>One rule for each form of <see cref="Platform.Storage.ObjectKey"/>.</summary>
internal sealed class ObjectRules(ObjectUseStore uses, IOptions<ObjectSweepOptions> options, IOptions<WorkspaceRunOptions> runs)
{
    public IReadOnlyList<ObjectRule> All { get; } =
    [
        new("archives/", options.Value.SpareArchives,
            (keys, now, cancellation) => uses.ListUnneededArchivesAsync(keys, now, now - runs.Value.KeepArchives, cancellation)),
        new("evidence/", options.Value.SpareOthers, (keys, _, cancellation) => uses.ListUnneededEvidenceAsync(keys, cancellation)),
        new("artifacts/", options.Value.SpareOthers, (keys, _, cancellation) => uses.ListUnneededArtifactsAsync(keys, cancellation)),
        new("logs/", options.Value.SpareOthers, (keys, _, cancellation) => uses.ListUnneededLogsAsync(keys, cancellation)),
    ];
}
