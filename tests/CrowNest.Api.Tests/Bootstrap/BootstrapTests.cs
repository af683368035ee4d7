using System.Net;
using CrowNest.Api.Bootstrap;
using CrowNest.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.Bootstrap;

public sealed class BootstrapTests(PostgresFixture postgres, RedisFixture redis)
{
    private const string Variable = "CROWNEST_BOOTSTRAP_API_KEY";

    [Fact]
    public async Task FirstStart_OfFourInstancesAtOnce_MakesEverythingOnce()
    {
        var database = await EmptyDatabaseAsync();
        var starts = Enumerable.Range(0, 4).Select(_ => Task.Run(() => new ApiInstance(database, redis.ConnectionString))).ToList();
        foreach (var api in await Task.WhenAll(starts))
        {
            await using (api)
            {
                Assert.Equal(HttpStatusCode.OK, (await api.Client().GetAsync("/v1/projects")).StatusCode);
            }
        }

        await using var rows = database.Open();
        var organization = await rows.Organizations.SingleAsync();
        Assert.Equal("builder", organization.Plan);
        Assert.Equal("owner", (await rows.Users.SingleAsync()).Role);
        Assert.True((await rows.Projects.SingleAsync()).IsDefault);
        Assert.Equal(4, await rows.Templates.CountAsync());
        var key = await rows.ApiKeys.SingleAsync();
        Assert.Equal(27, key.Scopes.Length);
        Assert.Equal("cn_live_Test", key.Prefix);
        Assert.Equal("stuv", key.Last4);
    }

    [Fact]
    public async Task FirstStart_WithoutKey_PrintsAGeneratedOneOnceAndOnlyThen()
    {
        var database = await EmptyDatabaseAsync();
        var printed = new StringWriter();
        string secret;
        await using (var first = new ApiInstance(database, redis.ConnectionString, printed, (Variable, null)))
        {
            secret = Assert.Single(printed.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)).Split(' ')[^1].Trim();
            Assert.Matches("^cn_live_[A-Za-z0-9]{40}$", secret);
            Assert.Equal(HttpStatusCode.OK, (await first.Client(secret).GetAsync("/v1/projects")).StatusCode);
        }

        printed.GetStringBuilder().Clear();
        await using var second = new ApiInstance(database, redis.ConnectionString, printed, (Variable, null));
        Assert.Equal("", printed.ToString());
        Assert.Equal(HttpStatusCode.OK, (await second.Client(secret).GetAsync("/v1/projects")).StatusCode);
    }

    [Fact]
    public async Task LaterStart_WithKey_AddsItBesideTheOthers()
    {
        var database = await EmptyDatabaseAsync();
        await using (new ApiInstance(database, redis.ConnectionString))
        {
        }

        const string Later = "another-key-of-32-characters-0123";
        for (var i = 0; i < 2; i++)
        {
            await using var api = new ApiInstance(database, redis.ConnectionString, (Variable, Later));
            Assert.Equal(HttpStatusCode.OK, (await api.Client(Later).GetAsync("/v1/projects")).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await api.Client().GetAsync("/v1/projects")).StatusCode);
        }

        await using var rows = database.Open();
        Assert.Equal(2, await rows.ApiKeys.CountAsync());
        Assert.Equal(1, await rows.Organizations.CountAsync());
    }

    [Theory]
    [InlineData("short", "32 to 200")]
    [InlineData("cn_live_with space and 32 characters!", "32 to 200")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "easy to guess")]
    public void Problem_OfWeakKey_SaysWhatIsWrong(string key, string expected) =>
        Assert.Contains(expected, BootstrapKey.Problem(key), StringComparison.Ordinal);

    [Theory]
    [InlineData(Variable, "short")]
    [InlineData("CrowNest:DeploymentSecret", "short")]
    [InlineData("Api:PublicBaseUrl", "ftp://host")]
    [InlineData("Api:RateLimitPerMinute", "0")]
    [InlineData("Api:DefaultPlan", "platinum")]
    [InlineData("Api:Resources:MinCpus", "9")]
    [InlineData("Api:Plans:scale:ArtifactRetentionDays", "0")]
    [InlineData("Api:Plans:scale:LogRetentionDays", "0")]
    [InlineData("Api:Plans:scale:LogRetentionDays", "36526")]
    public async Task Start_WithInvalidSetting_IsRefused(string key, string value)
    {
        var database = await TestDatabase.CreateAsync(postgres);
        var error = Assert.ThrowsAny<Exception>(() => new ApiInstance(database, redis.ConnectionString, (key, value)));
        Assert.IsType<OptionsValidationException>(error);
    }

    [Fact]
    public async Task Plans_InConfiguration_ChangeOnlyWhatTheyName()
    {
        await using var api = new ApiInstance(
            await TestDatabase.CreateAsync(postgres), redis.ConnectionString, ("Api:Plans:builder:ConcurrentSandboxes", "3"));
        var options = api.Services.GetRequiredService<IOptions<ApiOptions>>().Value;
        Assert.Equal(3, options.Limits("builder").ConcurrentSandboxes);
        Assert.Equal(3_600_000, options.Limits("builder").CreateTtlMs);
        Assert.Equal(1_800_000, options.Limits("nonsense").CreateTtlMs);
        Assert.Equal(604_800_000, options.Limits("enterprise").SessionMs);
        Assert.Equal([7, 30, 90, 365], new[] { "free", "builder", "scale", "enterprise" }.Select(p => options.Limits(p).LogRetentionDays));
    }

    /// <summary>A database without tables.</summary>
    private async Task<TestDatabase> EmptyDatabaseAsync()
    {
        var database = await TestDatabase.CreateAsync(postgres);
        await database.ExecuteAsync("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        NpgsqlConnection.ClearAllPools();
        return database;
    }
}
