namespace CrowNest.Api.Nodes;

/// <summary>Which node is asked first for a sandbox (docs/architecture.md, flow 1).</summary>
internal static class Placement
{
    /// <summary>
    /// Nodes that may have the version's image: by warm stock, then by free capacity; full ones last, because a snapshot may be half a
    /// second old. A node without a snapshot may have anything and comes after those that are known to have it. Equals are asked in
    /// random order, so that instances which see the same picture do not all run to one node.
    /// </summary>
    /// <returns>Empty when every node is known not to have the image.</returns>
    public static IReadOnlyList<LiveWorker> Order(IReadOnlyList<LiveWorker> workers, string templateVersionId) =>
        [.. workers
            .Where(w => w.Snapshot is null || w.Snapshot.WarmByTemplateVersion.ContainsKey(templateVersionId))
            .OrderBy(w => w.Snapshot switch { null => 1, { } s => s.Running < s.Capacity ? 0 : 2 })
            .ThenByDescending(w => w.Snapshot?.WarmByTemplateVersion[templateVersionId] ?? 0)
            .ThenByDescending(w => w.Snapshot is { } s ? s.Capacity - s.Running : 0)
            .ThenBy(_ => Random.Shared.Next())];

    /// <summary>Whether some node may have the version's image.</summary>
    public static bool MayHave(IReadOnlyList<LiveWorker> workers, string templateVersionId) =>
        workers.Any(w => w.Snapshot is null || w.Snapshot.WarmByTemplateVersion.ContainsKey(templateVersionId));
}
