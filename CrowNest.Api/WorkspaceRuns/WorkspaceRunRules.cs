using System.Text.Json.Nodes;
using CrowNest.Api.Commands;
using CrowNest.Api.Files;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>A run that passed every rule which needs no look at stored rows.</summary>
internal sealed record CheckedRun(
    string Command, long TimeoutMs, bool KeepSandbox, IReadOnlyList<CollectItem> Artifacts, IReadOnlyDictionary<string, string> Metadata,
    IReadOnlyDictionary<string, string>? SourceMetadata);

/// <summary>What a create may ask for (docs/reference/api.md 10.3). Every method throws what is wrong.</summary>
internal static class WorkspaceRunRules
{
    private static readonly IReadOnlyDictionary<string, string> NoMetadata = new Dictionary<string, string>();

    public static CheckedRun Check(CreateWorkspaceRunRequest request)
    {
        var command = CommandRules.CheckCommand(request.Command);
        var timeoutMs = request.TimeoutMs ?? Limits.DefaultWorkspaceRunTimeoutMs;
        if (timeoutMs is < 1 or > Limits.MaxWorkspaceRunTimeoutMs)
        {
            throw new ApiException(ErrorCodes.InvalidRequest, $"timeoutMs must be between 1 and {Limits.MaxWorkspaceRunTimeoutMs}.",
                new JsonObject { ["field"] = "timeoutMs", ["max"] = Limits.MaxWorkspaceRunTimeoutMs });
        }

        Metadata.Validate(request.Metadata ?? NoMetadata);
        Metadata.Validate(request.SourceMetadata ?? NoMetadata, "sourceMetadata");
        return new CheckedRun(
            command, timeoutMs, request.KeepSandbox ?? false, CheckArtifacts(request.Artifacts ?? []), request.Metadata ?? NoMetadata,
            request.SourceMetadata);
    }

    /// <summary>What a run in a sandbox that is there says of its template must be true (docs/reference/api.md 10.3).</summary>
    public static void CheckTemplate(CreateWorkspaceRunRequest request, SandboxRow warm)
    {
        Agree("template", request.Template, warm.TemplateSlug);
        Agree("templateVersionId", request.TemplateVersionId, warm.TemplateVersionId);

        static void Agree(string field, string? said, string actual)
        {
            if (said is not null && said != actual)
            {
                throw ApiException.InvalidField(field, $"The sandbox was made from '{actual}', not from the '{field}' of the request.");
            }
        }
    }

    private static CollectItem[] CheckArtifacts(IReadOnlyList<CollectRequest> artifacts)
    {
        if (artifacts.Count > Limits.CollectEntries)
        {
            throw new ApiException(ErrorCodes.InvalidRequest, $"artifacts may not have more than {Limits.CollectEntries} entries.",
                new JsonObject { ["field"] = "artifacts", ["max"] = Limits.CollectEntries });
        }

        var items = new CollectItem[artifacts.Count];
        for (var i = 0; i < items.Length; i++)
        {
            if (artifacts[i] is not { } wanted || wanted.Name is { Length: 0 or > Limits.NameLength })
            {
                throw ApiException.InvalidField(
                    $"artifacts[{i}]", $"An entry of artifacts is {{ path, name? }} with a name of 1 to {Limits.NameLength} characters.");
            }

            FileRules.Path($"artifacts[{i}].path", wanted.Path);
            items[i] = new CollectItem(wanted.Path!, wanted.Name);
        }

        return items;
    }
}
