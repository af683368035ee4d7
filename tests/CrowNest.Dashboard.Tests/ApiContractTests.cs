using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Tests;

/// <summary>The fake API has nothing that the API's document does not have; every exchange of the suite is checked in <see cref="ContractCheck"/>.</summary>
public sealed class ApiContractTests
{
    [Fact]
    public async Task EveryRoute_OfTheFake_IsOneOfTheApi()
    {
        await using var fake = await FakeApi.StartAsync();
        var contract = await ApiContract.Current;

        var routes = fake.Routes.Where(r => r.Route.StartsWith("/v1/", StringComparison.Ordinal)).ToList();

        Assert.True(routes.Count > 30, $"{routes.Count} routes");
        Assert.All(routes, r => Assert.True(contract.Has(r.Method, r.Route), $"{r.Method} {r.Route}"));
    }

    [Theory]
    [InlineData("GET", "/v1/projects", 200, """{"data":[],"hasMore":false}""", null)]
    [InlineData("GET", "/v1/projects", 200, """{"data":[],"hasMore":false,"total":0}""", "no member 'total'")]
    [InlineData("GET", "/v1/projects", 200, """{"data":[]}""", "'hasMore' is missing")]
    [InlineData("GET", "/v1/projects", 200, """{"data":{},"hasMore":false}""", "Object instead of array")]
    [InlineData("GET", "/v1/projects", 200, """{"data":[{"id":"p","orgId":"o","name":"n","createdAt":"soon"}],"hasMore":false}""", "'soon' is no time")]
    [InlineData("GET", "/v1/projects", 201, """{"data":[],"hasMore":false}""", "no such status")]
    [InlineData("GET", "/v1/project", 200, """{"data":[],"hasMore":false}""", "no such route")]
    [InlineData("PUT", "/v1/projects", 200, """{"data":[],"hasMore":false}""", "no such route")]
    [InlineData("GET", "/v1/sandboxes/sbx_1", 404, """{"error":{"code":"not_found","message":"m"}}""", null)]
    [InlineData("GET", "/v1/sandboxes/sbx_1", 404, """{"error":{"code":"lost","message":"m"}}""", "never 'lost'")]
    [InlineData("GET", "/v1/sandboxes/sbx_1", 404, """{"error":{"code":"not_found"}}""", "'message' is missing")]
    public async Task Answer_ThatTheApiDoesNotGive_IsAFault(string method, string path, int status, string body, string? fault)
    {
        var contract = await ApiContract.Current;

        var faults = contract.FaultsOfAnswer(method, path, status, "application/json; charset=utf-8", JsonSerializer.Deserialize<JsonElement>(body));

        if (fault is null)
            Assert.Empty(faults);
        else
            Assert.Contains(fault, Assert.Single(faults), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/v1/sandboxes", "status", null, null)]
    [InlineData("GET", "/v1/sandboxes", "metadata.a", null, null)]
    [InlineData("GET", "/v1/sandboxes", "state", null, "no query member 'state'")]
    [InlineData("POST", "/v1/sandboxes", null, """{"ttlMs":1}""", null)]
    [InlineData("POST", "/v1/sandboxes", null, """{"ttl":1}""", "no member 'ttl'")]
    [InlineData("POST", "/v1/sandboxes", null, """{"ttlMs":"1"}""", "String instead of integer")]
    [InlineData("DELETE", "/v1/sandboxes/sbx_1", null, """{}""", "no JSON body")]
    public async Task Request_ThatTheApiDoesNotTake_IsAFault(string method, string path, string? query, string? body, string? fault)
    {
        var contract = await ApiContract.Current;

        var faults = contract.FaultsOfRequest(
            method, path, query is null ? [] : [query], body is null ? null : JsonSerializer.Deserialize<JsonElement>(body));

        if (fault is null)
            Assert.Empty(faults);
        else
            Assert.Contains(fault, Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Exchange_WithTheFake_IsChecked()
    {
        await using var fake = await FakeApi.StartAsync();
        using var http = new HttpClient { BaseAddress = new Uri(fake.Url) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", fake.NewSession("amy"));
        fake.AddSandbox("amy");
        (await http.GetAsync(new Uri("/v1/sandboxes?limit=5", UriKind.Relative))).EnsureSuccessStatusCode();
        Assert.Empty(fake.ContractFaults);

        fake.RefuseCreate = new ErrorBody("made_up", "No.");
        await http.PostAsync(new Uri("/v1/sandboxes?colour=red", UriKind.Relative), new StringContent("{}", null, "application/json"));

        Assert.Equal(
            ["POST /v1/sandboxes: no query member 'colour'", "POST /v1/sandboxes -> 429: never 'made_up'"], fake.ContractFaults);
    }
}
