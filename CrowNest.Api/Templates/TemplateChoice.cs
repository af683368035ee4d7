using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using CrowNest.Platform.Templates;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Templates;

/// <summary>Finds the template version that a create means (docs/reference/api.md 4.3).</summary>
internal sealed class TemplateChoice(TemplateCatalog catalog, LiveWorkers workers, IOptions<SandboxOptions> options)
{
    /// <summary>The request's version and the nodes to ask for it, best first; throws what is wrong.</summary>
    public async Task<(TemplateVersionRow Version, IReadOnlyList<LiveWorker> Nodes)> ChooseAsync(
        string? slug, string? versionId, CancellationToken cancellationToken)
    {
        CheckSlug(slug);
        var pinned = versionId is null ? null : await FindPinnedAsync(slug, versionId, cancellationToken);
        var live = await workers.ListAsync(cancellationToken);
        if (live.Count == 0)
        {
            throw new ApiException(ErrorCodes.RuntimeError, "No node is running that could hold a sandbox: start a worker.");
        }

        var version = pinned ?? await NewestAsync(slug ?? options.Value.DefaultTemplate, live, cancellationToken);
        var nodes = Placement.Order(live, version.Id);
        if (nodes.Count == 0)
        {
            throw new ApiException(ErrorCodes.RuntimeError,
                $"No running node has the image of version '{version.Id}' of template '{version.Slug}'. Build it with eng/images.sh, or ask "
                + "for another version.");
        }

        return (version, nodes);
    }

    /// <summary>
    /// The version for work that begins later, on whatever node is there then: the one that is asked for, or the newest that a node has now,
    /// or the newest of all.
    /// </summary>
    public async Task<TemplateVersionRow> FreezeAsync(string? slug, string? versionId, CancellationToken cancellationToken)
    {
        CheckSlug(slug);
        return versionId is not null
            ? await FindPinnedAsync(slug, versionId, cancellationToken)
            : await NewestAsync(slug ?? options.Value.DefaultTemplate, await workers.ListAsync(cancellationToken), cancellationToken);
    }

    private static void CheckSlug(string? slug)
    {
        if (slug is not null && !TemplateSlugs.All.Contains(slug))
        {
            throw new ApiException(ErrorCodes.InvalidRequest,
                $"template must be one of {string.Join(", ", TemplateSlugs.All)}.", new JsonObject { ["field"] = "template" });
        }
    }

    private async Task<TemplateVersionRow> FindPinnedAsync(string? slug, string versionId, CancellationToken cancellationToken)
    {
        var version = await catalog.FindAsync(versionId, cancellationToken)
            ?? throw new ApiException(ErrorCodes.NotFound, "There is no such template version.", new JsonObject { ["field"] = "templateVersionId" });
        if (slug is not null && slug != version.Slug)
        {
            throw new ApiException(ErrorCodes.InvalidRequest, $"templateVersionId is a version of template '{version.Slug}', not of '{slug}'.",
                new JsonObject { ["field"] = "templateVersionId" });
        }

        return version;
    }

    /// <summary>The newest version that some node has; the newest of all when none has one, so that the error can name it.</summary>
    private async Task<TemplateVersionRow> NewestAsync(string slug, IReadOnlyList<LiveWorker> live, CancellationToken cancellationToken)
    {
        var versions = (await catalog.ListAsync(cancellationToken)).Where(v => v.Slug == slug).ToList();
        return versions.FirstOrDefault(v => Placement.MayHave(live, v.Id))
            ?? versions.FirstOrDefault()
            ?? throw new ApiException(ErrorCodes.RuntimeError,
                $"Template '{slug}' has not been built on any node yet. Build it with: eng/images.sh {slug}");
    }
}
