using System.Globalization;
using System.Net.Http.Json;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.Files;

/// <summary>A ready sandbox of a fresh organization and its file routes.</summary>
internal sealed record FileBox(ResourceFixture Fixture, Tenant Tenant, string Id)
{
    public string Root => $"/v1/sandboxes/{Id}/files";

    public HttpClient Http => Tenant.Http;

    public static async Task<FileBox> CreateAsync(ResourceFixture fixture)
    {
        var tenant = await fixture.TenantAsync();
        return new FileBox(fixture, tenant, await tenant.SandboxAsync());
    }

    public string OnDisk(string path) => Fixture.Worker.Files.PathOf(Id, path);

    public Task<HttpResponseMessage> GetAsync(string route) =>
        Http.GetAsync(new Uri(Root + route, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);

    public Task<HttpResponseMessage> DeleteAsync(string query) => Http.DeleteAsync(new Uri(Root + query, UriKind.Relative));

    public Task<HttpResponseMessage> PutAsync(object body) => Http.PutAsJsonAsync(Root, body);

    public Task<HttpResponseMessage> PostAsync(string route, object body) => Http.PostAsJsonAsync(Root + route, body);

    /// <summary>Puts bytes, for uploads and archives.</summary>
    public Task<HttpResponseMessage> SendAsync(string route, HttpContent content) => Http.PutAsync(new Uri(Root + route, UriKind.Relative), content);

    public async Task WriteAsync(string path, string content)
    {
        using var response = await PutAsync(new { path, content });
        Assert.Equal(200, (int)response.StatusCode);
    }

    /// <summary>Sum of a usage metric of the organization.</summary>
    public async Task<double> CountedAsync(string metric)
    {
        await using var connection = new NpgsqlConnection(Fixture.Database.ConnectionString);
        await connection.OpenAsync();
        await using var sql = new NpgsqlCommand("SELECT coalesce(sum(amount), 0) FROM usage_events WHERE org_id = @org AND metric = @metric", connection);
        sql.Parameters.AddWithValue("org", Tenant.OrgId);
        sql.Parameters.AddWithValue("metric", metric);
        return Convert.ToDouble(await sql.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }
}
