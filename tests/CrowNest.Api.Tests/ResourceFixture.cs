using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using CrowNest.Api.Tests.Fleet;
using CrowNest.Contracts;
using CrowNest.Platform.Templates;
using CrowNest.Testing;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests;

/// <summary>An API and a <see cref="TestWorker"/> for the tests of one class; each test makes its own organization.</summary>
public sealed class ResourceFixture(PostgresFixture postgres) : IAsyncLifetime
{
    public const string Version = "tplv_python_node_2";
    public const string OlderVersion = "tplv_python_node_1";
    public const string BaseVersion = "tplv_base_1";
    public const string MissingVersion = "tplv_base_0";

    internal TestDatabase Database { get; private set; } = null!;

    internal ApiInstance Api { get; private set; } = null!;

    internal TestWorker Worker { get; private set; } = null!;

    /// <summary>Its own, because the queue of runs is one for all who share a server.</summary>
    internal RedisFixture Redis { get; } = new();

    public async ValueTask InitializeAsync()
    {
        await Redis.InitializeAsync();
        Database = await TestDatabase.CreateAsync(postgres);
        Api = StartApi();
        await AddVersionsAsync(Database);
        Worker = await TestWorker.StartAsync(Database, Redis.ConnectionString, Version, OlderVersion, BaseVersion);
    }

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        await Worker.DisposeAsync();
        await Redis.DisposeAsync();
        if (Directory.Exists(Database.ObjectsDirectory))
        {
            Directory.Delete(Database.ObjectsDirectory, recursive: true);
        }
    }

    /// <summary>Another instance over the same rows.</summary>
    internal ApiInstance StartApi(params (string Key, string? Value)[] settings) =>
        new(Database, Redis.ConnectionString, [("Api:Fleet:BooksInterval", "00:00:00.1"), ("Api:Fleet:OutageGrace", "00:00:00.2"), .. settings]);

    /// <summary>A fresh organization with a key of all scopes.</summary>
    internal async Task<Tenant> TenantAsync(string plan = "builder", ApiInstance? api = null)
    {
        var (org, project) = await Database.AddOrganizationAsync(plan);
        var secret = await Database.AddKeyAsync(orgId: org);
        return new Tenant(this, org, project, secret, (api ?? Api).Client(secret));
    }

    /// <summary>Versions of two templates; the images of <see cref="MissingVersion"/> and of the other templates are nowhere.</summary>
    internal static async Task AddVersionsAsync(TestDatabase database)
    {
        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        var store = new TemplateVersionStore(source);
        await AddAsync(Version, TemplateSlugs.Default, "2026-11-22", 2);
        await AddAsync(OlderVersion, TemplateSlugs.Default, "2026-11-21", 1);
        await AddAsync(BaseVersion, "base", "2026-11-22", 2);
        await AddAsync(MissingVersion, "base", "2026-11-01", 0);

        Task AddAsync(string id, string slug, string label, int day) => store.AddAsync(
            new TemplateVersionRow(id, TemplateSlugs.TemplateId(slug), slug, label, $"sha256:{id}", NetworkPolicy.None,
                new DateTimeOffset(2026, 11, 20 + day, 0, 0, 0, TimeSpan.Zero)), CancellationToken.None);
    }
}

/// <summary>An organization of a test.</summary>
internal sealed record Tenant(ResourceFixture Fixture, string OrgId, string ProjectId, string Secret, HttpClient Http)
{
    public Task<HttpResponseMessage> CreateAsync(object? body = null) => Http.PostAsJsonAsync("/v1/sandboxes", body ?? new { });

    /// <summary>A ready sandbox.</summary>
    public async Task<string> SandboxAsync(object? body = null)
    {
        using var response = await CreateAsync(body);
        Assert.Equal(201, (int)response.StatusCode);
        return (await response.JsonAsync()).GetProperty("sandbox").GetProperty("id").GetString()!;
    }

    /// <summary>A client of the same organization with another key.</summary>
    public async Task<HttpClient> WithKeyAsync(string[]? scopes = null, string[]? projectIds = null) =>
        Fixture.Api.Client(await Fixture.Database.AddKeyAsync(scopes, projectIds, OrgId));

    public Task<HttpResponseMessage> RunAsync(string sandboxId, object body) =>
        Http.PostAsJsonAsync($"/v1/sandboxes/{sandboxId}/commands/run", body);

    public Task<HttpResponseMessage> StartAsync(string sandboxId, object body) =>
        Http.PostAsJsonAsync($"/v1/sandboxes/{sandboxId}/commands/start", body);

    /// <summary>A started command.</summary>
    public async Task<string> CommandAsync(string sandboxId, string command)
    {
        using var response = await StartAsync(sandboxId, new { command });
        Assert.Equal(202, (int)response.StatusCode);
        return (await response.JsonAsync()).GetProperty("command").GetProperty("id").GetString()!;
    }

    /// <summary>A resource of an answer, for example the member <c>sandbox</c>.</summary>
    public async Task<JsonElement> GetAsync(string path, string member) =>
        (await Http.GetAsync(new Uri(path, UriKind.Relative)).JsonAsync()).GetProperty(member);

    public async Task<string?> StatusAsync(string sandboxId) =>
        (await GetAsync($"/v1/sandboxes/{sandboxId}", "sandbox")).GetProperty("status").GetString();
}

internal static class JsonShortcuts
{
    public static string? Text(this JsonElement element, string member) => element.GetProperty(member).GetString();

    public static long Number(this JsonElement element, string member) => element.GetProperty(member).GetInt64();

    public static DateTimeOffset Time(this JsonElement element, string member) =>
        DateTimeOffset.ParseExact(element.Text(member)!, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    public static bool Has(this JsonElement element, string member) => element.TryGetProperty(member, out _);
}
