using CrowNest.Client;

namespace CrowNest.Dashboard.Components;

/// <summary>Names of the projects, read once per page and again for one that is new.</summary>
internal sealed class ProjectNames
{
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);

    public string Of(string projectId) => _names.GetValueOrDefault(projectId, projectId);

    public async Task LearnAsync(CrowNestClient api, IEnumerable<string> projectIds, CancellationToken cancellationToken)
    {
        var unknown = projectIds.Where(id => !_names.ContainsKey(id)).Distinct().ToArray();
        if (unknown.Length == 0)
            return;
        string? cursor = null;
        do
        {
            var page = await api.Projects.ListAsync(limit: 500, cursor, cancellationToken);
            foreach (var project in page.Data)
                _names[project.Id] = project.Name;
            cursor = page.NextCursor;
        }
        while (cursor is not null);
        // A project that the list does not know must not be asked for again and again.
        foreach (var id in unknown)
            _names.TryAdd(id, id);
    }
}
