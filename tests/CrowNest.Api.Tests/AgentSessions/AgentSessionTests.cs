using System.Net.Http.Json;
using System.Text.Json;
using CrowNest.Api.Tests.Artifacts;
using CrowNest.Api.Tests.Files;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.Api.Tests.AgentSessions;

public sealed class AgentSessionTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Session_OverTwoSandboxes_TagsWhatItExportsFromEach()
    {
        var first = await FileBox.CreateAsync(fixture);
        var second = first with { Id = await first.Tenant.SandboxAsync() };
        await first.WriteAsync("f", "first");
        await second.WriteAsync("f", "second");
        var session = await CreateAsync(first, new { name = "agent", sandboxId = first.Id, metadata = new { run = "7" } });
        Assert.True(Ids.IsValid(session.Text("id"), Ids.AgentSession));
        Assert.Equal(("agent", "active", first.Id, first.Tenant.ProjectId),
            (session.Text("name"), session.Text("status"), session.Text("currentSandboxId"), session.Text("projectId")));
        Assert.Equal("7", session.GetProperty("metadata").Text("run"));
        Assert.False(session.Has("stoppedAt"));
        var route = $"/v1/agent-sessions/{session.Text("id")}";
        var a = await ExportAsync(first, route, new { path = "f", metadata = new { step = "1" } });
        Assert.Equal((session.Text("id"), first.Id, "1"), (a.Text("sessionId"), a.Text("sandboxId"), a.GetProperty("metadata").Text("step")));

        var switched = (await first.Http.PutAsJsonAsync($"{route}/sandbox", new { sandboxId = second.Id }).JsonAsync()).GetProperty("session");
        Assert.Equal(second.Id, switched.Text("currentSandboxId"));
        var b = await ExportAsync(first, route, new { path = "f" });
        Assert.Equal((session.Text("id"), second.Id, 6L), (b.Text("sessionId"), b.Text("sandboxId"), b.Number("sizeBytes")));
        var tagged = (await first.CreateArtifactAsync(new { path = "f", sessionId = session.Text("id") }).JsonAsync()).GetProperty("artifact");
        await first.ArtifactAsync("f");
        string?[] expected = [tagged.Text("id"), b.Text("id"), a.Text("id")];
        Assert.Equal(expected, await IdsAsync(first, $"{route}/artifacts"));
        Assert.Equal(expected, await IdsAsync(first, $"/v1/artifacts?sessionId={session.Text("id")}"));
        Assert.Equal(session.Text("id"), (await first.Tenant.GetAsync("/v1/agent-sessions?status=active", "data"))[0].Text("id"));
    }

    [Fact]
    public async Task Stop_EndsTheSessionAndNotItsSandbox()
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "x");
        var session = await CreateAsync(box, new { sandboxId = box.Id });
        var route = $"/v1/agent-sessions/{session.Text("id")}";
        var stopped = (await box.Http.PostAsync(new Uri($"{route}/stop", UriKind.Relative), null).JsonAsync()).GetProperty("session");
        Assert.Equal("stopped", stopped.Text("status"));
        Assert.True(stopped.Time("stoppedAt") >= stopped.Time("createdAt"));
        var again = (await box.Http.PostAsync(new Uri($"{route}/stop", UriKind.Relative), null).JsonAsync()).GetProperty("session");
        Assert.Equal(stopped.GetRawText(), again.GetRawText());
        Assert.Equal("ready", await box.Tenant.StatusAsync(box.Id));
        await box.Http.PostAsJsonAsync($"{route}/artifacts", new { path = "f" }).ErrorAsync(409, "conflict");
        await box.Http.PutAsJsonAsync($"{route}/sandbox", new { sandboxId = box.Id }).ErrorAsync(409, "conflict");
        await box.CreateArtifactAsync(new { path = "f", sessionId = session.Text("id") }).ErrorAsync(409, "conflict");
        Assert.Empty((await box.Tenant.GetAsync("/v1/agent-sessions?status=active", "data")).EnumerateArray());
    }

    [Fact]
    public async Task Session_AndSandboxesThatDoNotFit_AreRefused()
    {
        var box = await FileBox.CreateAsync(fixture);
        var project = await fixture.Database.AddProjectAsync(box.Tenant.OrgId);
        var elsewhere = await box.Tenant.SandboxAsync(new { projectId = project });
        var dead = await box.Tenant.SandboxAsync();
        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{dead}", UriKind.Relative));
        var session = await CreateAsync(box, new { });
        Assert.False(session.Has("currentSandboxId") || session.Has("name"));
        var route = $"/v1/agent-sessions/{session.Text("id")}";
        await box.Http.PostAsJsonAsync($"{route}/artifacts", new { path = "f" }).ErrorAsync(409, "conflict");
        await box.Http.PutAsJsonAsync($"{route}/sandbox", new { sandboxId = elsewhere }).ErrorAsync(409, "conflict");
        await box.Http.PutAsJsonAsync($"{route}/sandbox", new { sandboxId = dead }).ErrorAsync(410, "sandbox_destroyed");
        await box.Http.PutAsJsonAsync($"{route}/sandbox", new { }).ErrorAsync(400, "invalid_request");
        await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { sandboxId = dead }).ErrorAsync(410, "sandbox_destroyed");
        await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { sandboxId = box.Id, projectId = project }).ErrorAsync(409, "conflict");
        await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { sandboxId = box.Id, projectId = "proj_unknown" }).ErrorAsync(404, "not_found");
        await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { name = "" }).ErrorAsync(400, "invalid_request");
        await box.Http.PostAsJsonAsync("/v1/agent-sessions", new { metadata = new Dictionary<string, string> { ["a b"] = "" } }).ErrorAsync(400, "invalid_metadata_key");
        await box.Http.GetAsync(new Uri("/v1/agent-sessions?status=lost", UriKind.Relative)).ErrorAsync(400, "invalid_request");
        Assert.Equal(project, (await CreateAsync(box, new { sandboxId = elsewhere })).Text("projectId"));

        await box.Http.PutAsJsonAsync($"{route}/sandbox", new { sandboxId = box.Id });
        await box.Http.DeleteAsync(new Uri($"/v1/sandboxes/{box.Id}", UriKind.Relative));
        await box.Http.PostAsJsonAsync($"{route}/artifacts", new { path = "f" }).ErrorAsync(409, "conflict");
    }

    [Fact]
    public async Task Create_UnderOneKey_IsOneSession()
    {
        var box = await FileBox.CreateAsync(fixture);
        var ids = new HashSet<string?>();
        for (var i = 0; i < 2; i++)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/v1/agent-sessions");
            request.Headers.Add("Idempotency-Key", "k");
            ids.Add((await box.Http.SendAsync(request).JsonAsync()).GetProperty("session").Text("id"));
        }

        Assert.Single(ids);
        Assert.Single((await box.Tenant.GetAsync("/v1/agent-sessions", "data")).EnumerateArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Export_RepeatedAfterTheSessionsEnd_IsTheSameArtifact(bool byTheSession)
    {
        var box = await FileBox.CreateAsync(fixture);
        await box.WriteAsync("f", "x");
        var session = await CreateAsync(box, new { sandboxId = box.Id });
        var route = $"/v1/agent-sessions/{session.Text("id")}";
        var first = await TryAsync();
        // As if the instance had died before it kept its answer.
        await fixture.Database.ExecuteAsync(
            $"UPDATE idempotency_records SET response_status = NULL, response_body = NULL, locked_until = now() WHERE resource_id = '{first}'");
        await box.Http.PostAsync(new Uri($"{route}/stop", UriKind.Relative), null).JsonAsync();

        Assert.Equal(first, await TryAsync());

        async Task<string?> TryAsync()
        {
            var request = new HttpRequestMessage(HttpMethod.Post, byTheSession ? $"{route}/artifacts" : $"/v1/sandboxes/{box.Id}/artifacts")
            {
                Content = JsonContent.Create(new { path = "f", sessionId = byTheSession ? null : session.Text("id") }),
            };
            request.Headers.Add("Idempotency-Key", "export");
            return (await box.Http.SendAsync(request).JsonAsync()).GetProperty("artifact").Text("id");
        }
    }

    private static async Task<JsonElement> CreateAsync(FileBox box, object body)
    {
        using var response = await box.Http.PostAsJsonAsync("/v1/agent-sessions", body);
        Assert.Equal(201, (int)response.StatusCode);
        return (await response.JsonAsync()).GetProperty("session");
    }

    private static async Task<JsonElement> ExportAsync(FileBox box, string session, object body)
    {
        using var response = await box.Http.PostAsJsonAsync($"{session}/artifacts", body);
        Assert.Equal(201, (int)response.StatusCode);
        return (await response.JsonAsync()).GetProperty("artifact");
    }

    private static async Task<IEnumerable<string?>> IdsAsync(FileBox box, string route) =>
        (await box.Tenant.GetAsync(route, "data")).EnumerateArray().Select(a => a.Text("id"));
}
