using CrowNest.Api.Nodes;
using CrowNest.Platform.Templates;

namespace CrowNest.Api.Templates;

/// <summary>Template versions of the deployment, as old as <see cref="FleetOptions.ViewAge"/> at most when a version is missed.</summary>
internal sealed class TemplateCatalog(TemplateVersionStore store, TimeProvider time)
{
    /// <summary>Versions are only ever added, and a new one may take this long to become the default.</summary>
    private static readonly TimeSpan Age = TimeSpan.FromMilliseconds(500);

    private View _view = new(0, []);

    /// <summary>All versions, newest first.</summary>
    public async ValueTask<IReadOnlyList<TemplateVersionRow>> ListAsync(CancellationToken cancellationToken)
    {
        var view = Volatile.Read(ref _view);
        if (view.Versions.Count > 0 && time.GetElapsedTime(view.ReadAt) < Age)
        {
            return view.Versions;
        }

        return await ReadAsync(cancellationToken);
    }

    /// <summary>The version with this id, or null.</summary>
    public async ValueTask<TemplateVersionRow?> FindAsync(string id, CancellationToken cancellationToken) =>
        (await ListAsync(cancellationToken)).FirstOrDefault(v => v.Id == id)
        ?? (await ReadAsync(cancellationToken)).FirstOrDefault(v => v.Id == id);

    private async Task<IReadOnlyList<TemplateVersionRow>> ReadAsync(CancellationToken cancellationToken)
    {
        var readAt = time.GetTimestamp();
        var versions = await store.ListAsync(cancellationToken);
        Volatile.Write(ref _view, new View(readAt, versions));
        return versions;
    }

    private sealed record View(long ReadAt, IReadOnlyList<TemplateVersionRow> Versions);
}
