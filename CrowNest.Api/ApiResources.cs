using CrowNest.Api.AgentSessions;
using CrowNest.Api.ApiKeys;
using CrowNest.Api.Artifacts;
using CrowNest.Api.Commands;
using CrowNest.Api.Files;
using CrowNest.Api.Http;
using CrowNest.Api.Maintenance;
using CrowNest.Api.Projects;
using CrowNest.Api.Sandboxes;
using CrowNest.Api.Templates;
using CrowNest.Api.WorkspaceRuns;
using CrowNest.Api.WorkspaceRuns.Evidence;

namespace CrowNest.Api;

/// <summary>The resources of the public API, one line each.</summary>
internal static class ApiResources
{
    public static IServiceCollection AddResources(this IServiceCollection services) => services
        .AddApiKeys()
        .AddProjects()
        .AddSandboxes()
        .AddCommands()
        .AddFiles()
        .AddArtifacts()
        .AddWorkspaceRuns()
        .AddEvidence()
        .AddObjectSweep();

    public static void MapResources(this IEndpointRouteBuilder endpoints)
    {
        var v1 = endpoints.MapV1();
        v1.MapApiKeys();
        v1.MapProjects();
        v1.MapTemplates();
        v1.MapSandboxes();
        v1.MapCommands();
        v1.MapFiles();
        v1.MapArtifacts();
        v1.MapAgentSessions();
        v1.MapWorkspaceRuns();
        v1.MapEvidence();
    }
}
