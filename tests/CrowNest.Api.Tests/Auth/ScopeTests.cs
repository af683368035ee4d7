using System.Text;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Auth;

/// <summary>The scopes of every route of <c>/v1</c> (docs/reference/api.md 3), asked of each by keys that lack one of them.</summary>
public sealed class ScopeTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private const string Files = "/v1/sandboxes/{sandboxId}/files";
    private const string Run = "/v1/workspace-runs/{workspaceRunId}";
    private const string Session = "/v1/agent-sessions/{sessionId}";

    /// <summary>Every route, with all that it asks for before it looks at anything else.</summary>
    private static readonly Dictionary<string, string[]> Expected = new()
    {
        ["GET /v1/projects"] = [],
        ["GET /v1/templates"] = [],
        ["GET /v1/templates/{slug}"] = [],
        ["GET /v1/api-keys"] = [Scopes.ApiKeyRead],
        ["POST /v1/api-keys"] = [],
        ["GET /v1/api-keys/{apiKeyId}"] = [Scopes.ApiKeyRead],
        ["DELETE /v1/api-keys/{apiKeyId}"] = [Scopes.ApiKeyRevoke],
        ["GET /v1/sandboxes"] = [Scopes.SandboxRead],
        ["POST /v1/sandboxes"] = [Scopes.SandboxCreate],
        ["GET /v1/sandboxes/{sandboxId}"] = [Scopes.SandboxRead],
        ["DELETE /v1/sandboxes/{sandboxId}"] = [Scopes.SandboxKill],
        ["POST /v1/sandboxes/{sandboxId}/extend"] = [Scopes.SandboxExtend],
        ["GET /v1/sandboxes/{sandboxId}/commands"] = [Scopes.CommandRead],
        ["POST /v1/sandboxes/{sandboxId}/commands/run"] = [Scopes.CommandRun],
        ["POST /v1/sandboxes/{sandboxId}/commands/start"] = [Scopes.CommandRun],
        ["GET /v1/commands/{commandId}"] = [Scopes.CommandRead],
        ["POST /v1/commands/{commandId}/cancel"] = [Scopes.CommandCancel],
        ["GET /v1/commands/{commandId}/logs"] = [Scopes.CommandRead],
        ["GET /v1/commands/{commandId}/stream"] = [Scopes.CommandRead],
        ["POST /v1/commands/{commandId}/logs/download-url"] = [Scopes.CommandRead],
        ["GET /v1/commands/{commandId}/logs/download"] = [Scopes.CommandRead],
        [$"GET {Files}"] = [Scopes.FileRead],
        [$"PUT {Files}"] = [Scopes.FileWrite],
        [$"DELETE {Files}"] = [Scopes.FileWrite],
        [$"GET {Files}/stat"] = [Scopes.FileRead],
        [$"GET {Files}/read"] = [Scopes.FileRead],
        [$"POST {Files}/mkdir"] = [Scopes.FileWrite],
        [$"POST {Files}/move"] = [Scopes.FileWrite],
        [$"POST {Files}/search"] = [Scopes.FileRead],
        [$"POST {Files}/download-url"] = [Scopes.FileRead],
        [$"GET {Files}/download"] = [Scopes.FileRead],
        [$"POST {Files}/upload-url"] = [Scopes.FileWrite],
        [$"PUT {Files}/upload"] = [Scopes.FileWrite],
        [$"GET {Files}/archive"] = [Scopes.FileRead],
        [$"PUT {Files}/archive"] = [Scopes.FileWrite],
        [$"POST {Files}/from-artifact"] = [Scopes.FileWrite, Scopes.ArtifactRead],
        ["POST /v1/sandboxes/{sandboxId}/artifacts"] = [Scopes.ArtifactCreate, Scopes.FileRead],
        ["GET /v1/sandboxes/{sandboxId}/artifacts"] = [Scopes.ArtifactRead],
        ["GET /v1/artifacts"] = [Scopes.ArtifactRead],
        ["GET /v1/artifacts/{artifactId}"] = [Scopes.ArtifactRead],
        ["POST /v1/artifacts/{artifactId}/download-url"] = [Scopes.ArtifactRead],
        ["GET /v1/artifacts/{artifactId}/download"] = [Scopes.ArtifactRead],
        ["DELETE /v1/artifacts/{artifactId}"] = [Scopes.ArtifactDelete],
        ["POST /v1/agent-sessions"] = [Scopes.SandboxCreate],
        ["GET /v1/agent-sessions"] = [Scopes.SandboxRead],
        [$"GET {Session}"] = [Scopes.SandboxRead],
        [$"PUT {Session}/sandbox"] = [Scopes.SandboxCreate],
        [$"POST {Session}/artifacts"] = [Scopes.ArtifactCreate, Scopes.FileRead],
        [$"GET {Session}/artifacts"] = [Scopes.ArtifactRead],
        [$"POST {Session}/stop"] = [Scopes.SandboxKill],
        ["POST /v1/workspace-runs"] = [Scopes.WorkspaceRunCreate],
        ["GET /v1/workspace-runs"] = [Scopes.WorkspaceRunRead],
        [$"GET {Run}"] = [Scopes.WorkspaceRunRead],
        [$"POST {Run}/start"] = [Scopes.WorkspaceRunCreate],
        [$"POST {Run}/cancel"] = [Scopes.WorkspaceRunCancel],
        [$"GET {Run}/events"] = [Scopes.WorkspaceRunRead],
        [$"GET {Run}/evidence"] = [Scopes.WorkspaceRunRead],
        [$"PUT {Run}/archive"] = [Scopes.WorkspaceRunCreate],
        [$"POST {Run}/archive-transfer"] = [Scopes.WorkspaceRunCreate],
        [$"PUT {Run}/archive-transfer/{{uploadId}}"] = [Scopes.WorkspaceRunCreate],
        [$"POST {Run}/archive/finalize"] = [Scopes.WorkspaceRunCreate],
    };

    [Fact]
    public void EveryRoute_IsInTheTable() => Assert.Equal(Expected.Keys.Order(), Routes().Order());

    [Fact]
    public async Task EveryRoute_WithoutOneOfItsScopes_IsForbidden()
    {
        var tenant = await fixture.TenantAsync();
        foreach (var scope in Expected.Values.SelectMany(s => s).Distinct())
        {
            using var client = await tenant.WithKeyAsync([.. Scopes.All.Except([scope])]);
            foreach (var (route, _) in Expected.Where(e => e.Value.Contains(scope)))
            {
                using var response = await SendAsync(client, route);
                var body = await response.Content.ReadAsStringAsync();
                Assert.True((int)response.StatusCode == 403, $"{route} without {scope}: {(int)response.StatusCode} {body}");
                Assert.Contains($"\"requiredScope\":\"{scope}\"", body, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task EveryRoute_WithItsScopesAlone_IsNotForbidden()
    {
        var tenant = await fixture.TenantAsync();
        foreach (var group in Expected.Where(e => e.Value.Length > 0).GroupBy(e => string.Join(' ', e.Value.Order())))
        {
            using var client = await tenant.WithKeyAsync(group.First().Value);
            foreach (var (route, _) in group)
            {
                using var response = await SendAsync(client, route);
                Assert.True((int)response.StatusCode != 403, $"{route}: {await response.Content.ReadAsStringAsync()}");
            }
        }
    }

    private IEnumerable<string> Routes() => fixture.Api.Services.GetServices<EndpointDataSource>().SelectMany(s => s.Endpoints)
        .OfType<RouteEndpoint>().Where(e => e.Metadata.GetMetadata<CallerRequired>() is not null)
        .SelectMany(e => e.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods.Select(m => $"{m} {e.RoutePattern.RawText}"));

    /// <summary>With an id that nobody has, and an empty body where there may be one.</summary>
    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string route)
    {
        var (method, path) = (route.Split(' ')[0], route.Split(' ')[1]);
        var request = new HttpRequestMessage(new HttpMethod(method), path.Replace("{", "", StringComparison.Ordinal)
            .Replace("}", "", StringComparison.Ordinal) + "?path=f")
        {
            Content = method is "GET" or "DELETE" ? null : new StringContent("{}", Encoding.UTF8, "application/json"),
        };
        return client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}
