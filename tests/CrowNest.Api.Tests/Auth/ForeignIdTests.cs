using System.Net.Http.Json;
using System.Text;
using CrowNest.Api.Http;
using CrowNest.Api.Tests.Artifacts;
using CrowNest.Api.Tests.Files;
using CrowNest.Api.Tests.WorkspaceRuns;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Auth;

/// <summary>What another organization has, or a project that a key may not use, is the same nothing as what does not exist.</summary>
public sealed class ForeignIdTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task EveryRouteWithAnId_OfSomeoneElse_AnswersAsForAnUnknownOne()
    {
        var owner = await OwnerAsync();
        var tenant = owner.Box.Tenant;
        var stranger = await fixture.TenantAsync();
        var other = await fixture.Database.AddProjectAsync(tenant.OrgId);
        using var restricted = await tenant.WithKeyAsync(projectIds: [other]);
        var routes = fixture.Api.Services.GetServices<EndpointDataSource>().SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<CallerRequired>() is not null && e.RoutePattern.Parameters.Any(p => p.Name != "slug")).ToList();
        Assert.True(routes.Count >= 49, $"{routes.Count} routes");
        foreach (var route in routes)
        {
            var method = Assert.Single(route.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods);
            var unknown = await SendAsync(stranger.Http, route, method, new Dictionary<string, string>());
            Assert.True(unknown.StartsWith("404 ", StringComparison.Ordinal), $"{method} {route.RoutePattern.RawText}: {unknown}");
            Assert.Equal(unknown, await SendAsync(stranger.Http, route, method, owner.Ids));
            Assert.Equal(unknown, await SendAsync(restricted, route, method, owner.Ids));
        }

        // Nothing of it has changed.
        Assert.Equal("x", (await owner.Box.GetAsync("/read?path=f").JsonAsync()).Text("content"));
        Assert.Equal("active", (await tenant.GetAsync($"/v1/agent-sessions/{owner.SessionId}", "session")).Text("status"));
        Assert.Equal("running", (await tenant.GetAsync($"/v1/commands/{owner.Ids["commandId"]}", "command")).Text("status"));
        Assert.Equal("awaiting_archive", (await tenant.ReadRunAsync(owner.Ids["workspaceRunId"])).Text("status"));
        using var key = await tenant.GetAsync($"/v1/api-keys/{owner.Ids["apiKeyId"]}");
        Assert.False((await key.JsonAsync()).GetProperty("apiKey").Has("revokedAt"));
    }

    [Theory]
    [InlineData("GET", "/v1/artifacts?sandboxId={sandbox}", "")]
    [InlineData("GET", "/v1/artifacts?sessionId={session}", "")]
    [InlineData("GET", "/v1/artifacts?projectId={project}", "")]
    [InlineData("GET", "/v1/agent-sessions?projectId={project}", "")]
    [InlineData("GET", "/v1/sandboxes?projectId={project}", "")]
    [InlineData("GET", "/v1/workspace-runs?projectId={project}", "")]
    [InlineData("POST", "/v1/sandboxes", """{"projectId":"{project}"}""")]
    [InlineData("POST", "/v1/workspace-runs", """{"command":"true","projectId":"{project}"}""")]
    [InlineData("POST", "/v1/workspace-runs", """{"command":"true","sandboxId":"{sandbox}"}""")]
    [InlineData("POST", "/v1/agent-sessions", """{"sandboxId":"{sandbox}"}""")]
    [InlineData("POST", "/v1/agent-sessions", """{"projectId":"{project}"}""")]
    [InlineData("PUT", "/v1/agent-sessions/{own session}/sandbox", """{"sandboxId":"{sandbox}"}""")]
    [InlineData("POST", "/v1/sandboxes/{own sandbox}/artifacts", """{"path":"f","sessionId":"{session}"}""")]
    [InlineData("POST", "/v1/sandboxes/{own sandbox}/files/from-artifact", """{"path":"g","artifactId":"{artifact}"}""")]
    public async Task IdInABodyOrQuery_OfSomeoneElse_AnswersAsForAnUnknownOne(string method, string route, string body)
    {
        var owner = await OwnerAsync();
        var stranger = await OwnerAsync();
        var foreign = await SendAsync(owner.Box.Id, owner.SessionId, owner.Box.Tenant.ProjectId, owner.ArtifactId);
        Assert.StartsWith("404 ", foreign, StringComparison.Ordinal);
        Assert.Equal(await SendAsync("sbx_0", "ases_0", "prj_0", "art_0"), foreign);

        async Task<string> SendAsync(string sandbox, string session, string project, string artifact)
        {
            string Fill(string text) => text.Replace("{sandbox}", sandbox, StringComparison.Ordinal).Replace("{session}", session, StringComparison.Ordinal)
                .Replace("{project}", project, StringComparison.Ordinal).Replace("{artifact}", artifact, StringComparison.Ordinal)
                .Replace("{own session}", stranger.SessionId, StringComparison.Ordinal).Replace("{own sandbox}", stranger.Box.Id, StringComparison.Ordinal);
            var request = new HttpRequestMessage(new HttpMethod(method), Fill(route))
            {
                Content = body.Length == 0 ? null : new StringContent(Fill(body), Encoding.UTF8, "application/json"),
            };
            return await ToTextAsync(await stranger.Box.Http.SendAsync(request));
        }
    }

    [Fact]
    public async Task Lists_OfARestrictedKey_HaveItsProjectsAlone()
    {
        var owner = await OwnerAsync();
        var tenant = owner.Box.Tenant;
        var other = await fixture.Database.AddProjectAsync(tenant.OrgId);
        using var restricted = await tenant.WithKeyAsync(projectIds: [other]);
        foreach (var route in new[] { "/v1/artifacts", "/v1/agent-sessions", "/v1/sandboxes", "/v1/workspace-runs" })
        {
            Assert.Empty((await restricted.GetAsync(new Uri(route, UriKind.Relative)).JsonAsync()).GetProperty("data").EnumerateArray());
            Assert.Single((await tenant.GetAsync(route, "data")).EnumerateArray());
            await restricted.GetAsync(new Uri($"{route}?projectId={tenant.ProjectId}", UriKind.Relative)).ErrorAsync(403, "forbidden");
        }

        var projects = (await restricted.GetAsync(new Uri("/v1/projects", UriKind.Relative)).JsonAsync()).GetProperty("data");
        Assert.Equal(other, Assert.Single(projects.EnumerateArray()).Text("id"));
        var keys = (await restricted.GetAsync(new Uri("/v1/api-keys", UriKind.Relative)).JsonAsync()).GetProperty("data");
        Assert.Single(keys.EnumerateArray());
    }

    [Theory]
    [InlineData("GET", "/v1/artifacts?sandboxId={sandboxId}", "")]
    [InlineData("GET", "/v1/artifacts?sessionId={sessionId}", "")]
    [InlineData("POST", "/v1/agent-sessions", """{"sandboxId":"{sandboxId}"}""")]
    [InlineData("POST", "/v1/workspace-runs", """{"command":"true","sandboxId":"{sandboxId}"}""")]
    public async Task IdInABodyOrQuery_OfAProjectThatTheKeyMayNotUse_AnswersAsForAnUnknownOne(string method, string route, string body)
    {
        var owner = await OwnerAsync();
        var other = await fixture.Database.AddProjectAsync(owner.Box.Tenant.OrgId);
        using var restricted = await owner.Box.Tenant.WithKeyAsync(projectIds: [other]);
        var answer = await SendAsync(owner.Ids);
        Assert.StartsWith("404 ", answer, StringComparison.Ordinal);
        Assert.Equal(await SendAsync(owner.Ids.Keys.ToDictionary(k => k, _ => "sbx_0")), answer);

        async Task<string> SendAsync(IReadOnlyDictionary<string, string> ids)
        {
            string Fill(string text) => ids.Aggregate(text, (t, id) => t.Replace($"{{{id.Key}}}", id.Value, StringComparison.Ordinal));
            var request = new HttpRequestMessage(new HttpMethod(method), Fill(route))
            {
                Content = body.Length == 0 ? null : new StringContent(Fill(body), Encoding.UTF8, "application/json"),
            };
            return await ToTextAsync(await restricted.SendAsync(request));
        }
    }

    private async Task<Owner> OwnerAsync()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "x");
        var artifact = await box.ArtifactAsync("f");
        var session = (await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { sandboxId = box.Id }).JsonAsync()).GetProperty("session");
        var run = await box.Tenant.RunAsync();
        var staged = (await box.Http.PostAsJsonAsync(
            $"/v1/workspace-runs/{run}/archive-transfer", new { sha256 = new string('a', 64), sizeBytes = 3 }).JsonAsync()).GetProperty("transfer");
        return new Owner(box, new Dictionary<string, string>
        {
            ["sandboxId"] = box.Id,
            ["artifactId"] = artifact.Text("id")!,
            ["sessionId"] = session.Text("id")!,
            ["commandId"] = await box.Tenant.CommandAsync(box.Id, "hang"),
            ["workspaceRunId"] = run,
            ["uploadId"] = staged.Text("id")!,
            ["apiKeyId"] = (await box.Tenant.GetAsync("/v1/api-keys", "data")).EnumerateArray().Single().Text("id")!,
        });
    }

    /// <param name="ids">By the names of the routes' parameters; what is missing is an id that nobody has.</param>
    private static async Task<string> SendAsync(
        HttpClient client, RouteEndpoint route, string method, IReadOnlyDictionary<string, string> ids)
    {
        var path = route.RoutePattern.Parameters.Aggregate(
            route.RoutePattern.RawText!, (text, p) => text.Replace($"{{{p.Name}}}", ids.GetValueOrDefault(p.Name, "x_0"), StringComparison.Ordinal));
        Assert.DoesNotContain("{", path, StringComparison.Ordinal);
        var request = new HttpRequestMessage(new HttpMethod(method), path + "?path=f")
        {
            Content = method is "GET" or "DELETE" ? null : new StringContent("{}", Encoding.UTF8, "application/json"),
        };
        return await ToTextAsync(await client.SendAsync(request));
    }

    private static async Task<string> ToTextAsync(HttpResponseMessage response)
    {
        using (response)
        {
            return $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}";
        }
    }
    private sealed record Owner(FileBox Box, IReadOnlyDictionary<string, string> Ids)
    {
        public string SessionId => Ids["sessionId"];

        public string ArtifactId => Ids["artifactId"];
    }
}
