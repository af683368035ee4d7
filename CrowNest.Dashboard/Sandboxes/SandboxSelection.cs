using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Components;

namespace CrowNest.Dashboard.Sandboxes;

/// <summary>A page of live or of past sandboxes. The API lists live ones, or all; past ones are picked out here.</summary>
internal static class SandboxSelection
{
    private const int PageSize = 50;

    /// <summary>Pages of the API that one page here may cost: enough to get past every live sandbox of the largest plan.</summary>
    private const int MaxRequests = 6;

    internal sealed record Result(IReadOnlyList<Sandbox> Items, string? NextCursor);

    /// <summary>The statuses that one of the two lists can have.</summary>
    public static IEnumerable<string> Statuses(bool past) =>
        SandboxStatus.All.Where(status => (status is SandboxStatus.Destroyed or SandboxStatus.Failed) == past);

    /// <param name="status">Only sandboxes with this one.</param>
    public static async Task<Result> ReadAsync(
        SandboxesClient api, bool past, string? status, string? cursor, CancellationToken cancellationToken)
    {
        var items = new List<Sandbox>();
        var requests = 0;
        do
        {
            var page = await api.ListAsync(
                new ListSandboxesOptions { IncludeHistorical = past, Status = status, Limit = PageSize, Cursor = cursor },
                cancellationToken);
            items.AddRange(page.Data.Where(sandbox => StatusLook.IsLive(sandbox) != past));
            cursor = page.NextCursor;
        }
        while (items.Count < PageSize / 2 && cursor is not null && ++requests < MaxRequests);
        return new Result(items, cursor);
    }
}
