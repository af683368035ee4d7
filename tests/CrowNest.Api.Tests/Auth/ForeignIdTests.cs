using System.Net.Http.Json;
using System.Text;
using CrowNest.Api.Http;
using CrowNest.Api.Tests.Artifacts;
using CrowNest.Api.Tests.Files;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.Auth;

/// <summary>What another organization has, or a project that a key may not use, is the same nothing as what does not exist.</summary>
public sealed class ForeignIdTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private static readonly string[] Tags = ["Files", "Artifacts", "Agent Sessions"];

    [Fact]
    public async Task EveryRouteWithAnId_OfSomeoneElse_AnswersAsForAnUnknownOne()
    {
        var owner = await OwnerAsync();
        var stranger = await fixture.TenantAsync();
        using var restricted = await owner.Box.Tenant.WithKeyAsync(projectIds: [await fixture.Database.AddProjectAsync(owner.Box.Tenant.OrgId)]);
        var routes = fixture.Api.Services.GetServices<EndpointDataSource>().SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.Parameters.Count > 0 && Tags.Contains(e.Metadata.GetMetadata<Operation>()?.Tag)).ToList();
        Assert.True(routes.Count >= 25, $"{routes.Count} routes");
        foreach (var route in routes)
        {
            var method = Assert.Single(route.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods);
            var unknown = await SendAsync(stranger.Http, route, method, "sbx_0", "art_0", "ases_0");
            Assert.StartsWith("404 ", unknown, StringComparison.Ordinal);
            Assert.Equal(unknown, await SendAsync(stranger.Http, route, method, owner.Box.Id, owner.ArtifactId, owner.SessionId));
            Assert.Equal(unknown, await SendAsync(restricted, route, method, owner.Box.Id, owner.ArtifactId, owner.SessionId));
        }

        Assert.Equal("x", (await owner.Box.GetAsync("/read?path=f").JsonAsync()).Text("content"));
        Assert.Equal("active", (await owner.Box.Tenant.GetAsync($"/v1/agent-sessions/{owner.SessionId}", "session")).Text("status"));
    }

    [Theory]
    [InlineData("GET", "/v1/artifacts?sandboxId={sandbox}", "")]
    [InlineData("GET", "/v1/artifacts?sessionId={session}", "")]
    [InlineData("GET", "/v1/artifacts?projectId={project}", "")]
    [InlineData("GET", "/v1/agent-sessions?projectId={project}", "")]
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
        var other = await fixture.Database.AddProjectAsync(owner.Box.Tenant.OrgId);
        using var restricted = await owner.Box.Tenant.WithKeyAsync(projectIds: [other]);
        foreach (var route in new[] { "/v1/artifacts", "/v1/agent-sessions" })
        {
            Assert.Empty((await restricted.GetAsync(new Uri(route, UriKind.Relative)).JsonAsync()).GetProperty("data").EnumerateArray());
            Assert.Single((await owner.Box.Tenant.GetAsync(route, "data")).EnumerateArray());
            await restricted.GetAsync(new Uri($"{route}?projectId={owner.Box.Tenant.ProjectId}", UriKind.Relative)).ErrorAsync(403, "forbidden");
        }
    }

    private async Task<(FileBox Box, string ArtifactId, string SessionId)> OwnerAsync()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "x");
        var artifact = await box.ArtifactAsync("f");
        var session = (await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { sandboxId = box.Id }).JsonAsync()).GetProperty("session");
        return (box, artifact.Text("id")!, session.Text("id")!);
    }

    private static async Task<string> SendAsync(
        HttpClient client, RouteEndpoint route, string method, string sandbox, string artifact, string session)
    {
        var path = route.RoutePattern.RawText!.Replace("{sandboxId}", sandbox, StringComparison.Ordinal)
            .Replace("{artifactId}", artifact, StringComparison.Ordinal).Replace("{sessionId}", session, StringComparison.Ordinal);
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
}
