using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Testing;
using Microsoft.OpenApi;
using Xunit;

namespace CrowNest.Api.Tests.Discovery;

public sealed class OpenApiTests(PostgresFixture postgres, RedisFixture redis) : IAsyncLifetime
{
    private ApiInstance _api = null!;
    private string _text = null!;
    private JsonElement _document;

    public async ValueTask InitializeAsync()
    {
        _api = new ApiInstance(
            await TestDatabase.CreateAsync(postgres), redis.ConnectionString, ("Api:PublicBaseUrl", "https://example.com/crownest"));
        using var response = await _api.Client(bearer: null).GetAsync("/openapi.json");
        Assert.Equal("application/vnd.oai.openapi+json; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        _text = await response.Content.ReadAsStringAsync();
        using var document = JsonDocument.Parse(_text);
        _document = document.RootElement.Clone();
    }

    public async ValueTask DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public void Document_ReadByAnOpenApiParser_IsValid()
    {
        var read = Microsoft.OpenApi.OpenApiDocument.Parse(_text, "json");
        Assert.Empty(read.Diagnostic!.Errors);
        Assert.Equal(OpenApiSpecVersion.OpenApi3_1, read.Diagnostic.SpecificationVersion);
        Assert.Equal("CrowNest API", read.Document!.Info.Title);
        Assert.Equal("https://example.com/crownest", read.Document.Servers!.Single().Url);
        ContractGuard.RefuseNull(_document, "openapi.json");
    }

    [Fact]
    public void Document_Operations_AreThoseOfTheEndpointIndex()
    {
        (string Method, string Path, string Id, string? Scope)[] expected =
        [
            ("get", "/openapi.json", "getOpenApi", null),
            ("get", "/v1/projects", "listProjects", null),
            ("get", "/v1/api-keys", "listApiKeys", Scopes.ApiKeyRead),
            ("get", "/v1/api-keys/{apiKeyId}", "getApiKey", Scopes.ApiKeyRead),
            ("delete", "/v1/api-keys/{apiKeyId}", "revokeApiKey", Scopes.ApiKeyRevoke),
            ("get", "/v1/templates", "listTemplates", null),
            ("get", "/v1/sandboxes", "listSandboxes", Scopes.SandboxRead),
            ("post", "/v1/sandboxes", "createSandbox", Scopes.SandboxCreate),
            ("get", "/v1/sandboxes/{sandboxId}", "getSandbox", Scopes.SandboxRead),
            ("delete", "/v1/sandboxes/{sandboxId}", "killSandbox", Scopes.SandboxKill),
            ("post", "/v1/sandboxes/{sandboxId}/extend", "extendSandbox", Scopes.SandboxExtend),
            ("post", "/v1/sandboxes/{sandboxId}/commands/run", "runCommand", Scopes.CommandRun),
            ("post", "/v1/sandboxes/{sandboxId}/commands/start", "startCommand", Scopes.CommandRun),
            ("get", "/v1/commands/{commandId}", "getCommand", Scopes.CommandRead),
            ("post", "/v1/commands/{commandId}/cancel", "cancelCommand", Scopes.CommandCancel),
            ("get", "/v1/commands/{commandId}/logs", "listCommandLogs", Scopes.CommandRead),
            ("get", "/v1/commands/{commandId}/stream", "streamCommandLogs", Scopes.CommandRead),
            ("post", "/v1/commands/{commandId}/logs/download-url", "createCommandLogsDownloadUrl", Scopes.CommandRead),
            ("get", "/.well-known/jwks.json", "getJwks", null),
            ("post", "/v1/workspace-runs", "createWorkspaceRun", Scopes.WorkspaceRunCreate),
            ("get", "/v1/workspace-runs", "listWorkspaceRuns", Scopes.WorkspaceRunRead),
            ("get", "/v1/workspace-runs/{workspaceRunId}", "getWorkspaceRun", Scopes.WorkspaceRunRead),
            ("post", "/v1/workspace-runs/{workspaceRunId}/start", "startWorkspaceRun", Scopes.WorkspaceRunCreate),
            ("post", "/v1/workspace-runs/{workspaceRunId}/cancel", "cancelWorkspaceRun", Scopes.WorkspaceRunCancel),
            ("get", "/v1/workspace-runs/{workspaceRunId}/events", "listWorkspaceRunEvents", Scopes.WorkspaceRunRead),
            ("get", "/v1/workspace-runs/{workspaceRunId}/evidence", "getWorkspaceRunEvidence", Scopes.WorkspaceRunRead),
            ("put", "/v1/workspace-runs/{workspaceRunId}/archive", "uploadWorkspaceRunArchive", Scopes.WorkspaceRunCreate),
            ("post", "/v1/workspace-runs/{workspaceRunId}/archive-transfer", "createWorkspaceRunArchiveTransfer", Scopes.WorkspaceRunCreate),
            ("put", "/v1/workspace-runs/{workspaceRunId}/archive-transfer/{uploadId}", "uploadWorkspaceRunArchiveTransfer",
                Scopes.WorkspaceRunCreate),
            ("post", "/v1/workspace-runs/{workspaceRunId}/archive/finalize", "finalizeWorkspaceRunArchive", Scopes.WorkspaceRunCreate),
        ];
        foreach (var (method, path, id, scope) in expected)
        {
            var operation = _document.GetProperty("paths").GetProperty(path).GetProperty(method);
            Assert.Equal(id, operation.GetProperty("operationId").GetString());
            Assert.Equal(scope, operation.TryGetProperty("x-crownest-required-scope", out var s) ? s.GetString() : null);
        }
    }

    [Fact]
    public void Document_EveryV1Operation_WantsABearerAndTellsItsErrors()
    {
        var ids = new List<string>();
        foreach (var (path, operation) in Operations())
        {
            ids.Add(operation.GetProperty("operationId").GetString()!);
            var isV1 = path.StartsWith("/v1/", StringComparison.Ordinal);
            Assert.Equal(isV1 ? 1 : 0, operation.GetProperty("security").GetArrayLength());
            var responses = operation.GetProperty("responses");
            Assert.Single(responses.EnumerateObject(), r => r.Name[0] == '2');
            if (isV1)
            {
                Assert.All(["400", "401", "403", "404", "429", "500"], status => Assert.True(responses.TryGetProperty(status, out _), $"{path} {status}"));
            }
        }

        Assert.Equal(ids.Count, ids.Distinct().Count());
        Assert.DoesNotContain("/internal", _text, StringComparison.Ordinal);
        Assert.DoesNotContain("/healthz", _text, StringComparison.Ordinal);
    }

    [Fact]
    public void Document_Schemas_SayWhatIsAlwaysThere()
    {
        var schemas = _document.GetProperty("components").GetProperty("schemas");
        var sandbox = schemas.GetProperty("Sandbox");
        var required = sandbox.GetProperty("required").EnumerateArray().Select(r => r.GetString()).ToList();
        Assert.Contains("expiresAt", required);
        Assert.DoesNotContain("destroyedAt", required);
        Assert.Equal("date-time", sandbox.GetProperty("properties").GetProperty("destroyedAt").GetProperty("format").GetString());
        Assert.Equal("string", sandbox.GetProperty("properties").GetProperty("destroyedReason").GetProperty("type").GetString());
        Assert.Equal("#/components/schemas/SandboxResources",
            sandbox.GetProperty("properties").GetProperty("resources").GetProperty("$ref").GetString());
        Assert.False(schemas.GetProperty("CreateSandboxRequest").TryGetProperty("required", out _));
        Assert.Equal(["data", "hasMore"], schemas.GetProperty("SandboxPage").GetProperty("required").EnumerateArray().Select(r => r.GetString()));
        Assert.DoesNotContain("\"null\"", _text, StringComparison.Ordinal);
        var limit = _document.GetProperty("components").GetProperty("parameters").GetProperty("limit").GetProperty("schema");
        Assert.Equal(500, limit.GetProperty("maximum").GetInt32());
        Assert.Contains(Parameters("/v1/sandboxes", "post"), p => p == "#/components/parameters/Idempotency-Key");
        Assert.Contains(Parameters("/v1/sandboxes", "get"), p => p == "#/components/parameters/cursor");
    }

    private IEnumerable<string?> Parameters(string path, string method) =>
        _document.GetProperty("paths").GetProperty(path).GetProperty(method).GetProperty("parameters").EnumerateArray()
            .Select(p => p.TryGetProperty("$ref", out var reference) ? reference.GetString() : null);

    private IEnumerable<(string Path, JsonElement Operation)> Operations() =>
        _document.GetProperty("paths").EnumerateObject().SelectMany(p => p.Value.EnumerateObject().Select(o => (p.Name, o.Value)));
}
