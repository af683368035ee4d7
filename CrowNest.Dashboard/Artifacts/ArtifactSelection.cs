using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Artifacts;

/// <summary>The newest artifacts that match, as many as are shown, over as many of the API's pages as that takes.</summary>
internal sealed record ArtifactSelection(IReadOnlyList<Artifact> Items, bool HasMore)
{
    public const int Step = 50;

    /// <summary>More than this nobody reads; a filter finds the rest.</summary>
    public const int Limit = 2000;

    public static async Task<ArtifactSelection> ReadAsync(
        ArtifactsClient api, string? sandboxId, string? prefix, int count, CancellationToken cancellationToken)
    {
        var items = new List<Artifact>();
        string? cursor = null;
        do
        {
            var page = await api.ListAsync(
                new ListArtifactsOptions
                {
                    SandboxId = sandboxId,
                    RemotePathPrefix = prefix,
                    Limit = Math.Min(count - items.Count, Limits.MaxPageSize),
                    Cursor = cursor,
                },
                cancellationToken);
            items.AddRange(page.Data);
            cursor = page.NextCursor;
        }
        while (items.Count < count && cursor is not null);
        // Between two pages something may have been added: the same artifact is then on both.
        return new ArtifactSelection([.. items.DistinctBy(artifact => artifact.Id)], cursor is not null);
    }
}
