using CrowNest.Api.Maintenance;
using CrowNest.Api.Tests.Objects;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.Commands;

/// <summary>Output is kept as long as its plan says; the command that wrote it stays.</summary>
public sealed class LogRetentionSweeperTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private static readonly (string, string?)[] Settings =
    [
        ("Api:Objects:Interval", "00:00:00.1"), ("Api:Objects:SpareOthers", "00:00:00"), ("Api:Plans:builder:LogRetentionDays", "3"),
    ];

    [Fact]
    public async Task Output_PastThePlansRetention_IsAGapAndItsObjectGoes()
    {
        var tenant = await fixture.TenantAsync();
        var old = await FinishedAsync(tenant, days: 4);
        var young = await FinishedAsync(tenant, days: 2);
        await using var api = fixture.StartApi(Settings);
        var objects = api.Services.GetRequiredService<IObjectStore>();

        await Eventually.HoldsAsync(
            async () => await objects.StatAsync(ObjectKey.CommandLog(tenant.OrgId, old), default) is null, "the old log is gone");

        var command = await tenant.GetAsync($"/v1/commands/{old}", "command");
        Assert.Equal(("exited", "", ""), (command.Text("status"), command.Text("stdout"), command.Text("stderr")));
        Assert.Equal((true, false), (command.GetProperty("stdoutTruncated").GetBoolean(), command.GetProperty("stderrTruncated").GetBoolean()));
        Assert.Empty((await tenant.GetAsync($"/v1/commands/{old}/logs", "data")).EnumerateArray());
        Assert.Empty((await tenant.GetAsync($"/v1/commands/{old}/logs?afterSeq=2", "data")).EnumerateArray());
        foreach (var path in new[] { "logs", "stream" })
        {
            var error = await tenant.Http.GetAsync(new Uri($"/v1/commands/{old}/{path}?afterSeq=0", UriKind.Relative)).ErrorAsync(409, "stream_gap");
            Assert.Equal((3, 2), (error.GetProperty("details").Number("oldestSeq"), error.GetProperty("details").Number("latestSeq")));
        }

        using var stream = await SseEvents.OpenAsync(tenant.Http, $"/v1/commands/{old}/stream");
        Assert.Equal(["terminal"], (await stream.ToEndAsync()).Select(e => e.Type));
        Assert.NotNull(await objects.StatAsync(ObjectKey.CommandLog(tenant.OrgId, young), default));
        Assert.Equal("a\nb\n", (await tenant.GetAsync($"/v1/commands/{young}", "command")).Text("stdout"));
    }

    [Fact]
    public async Task Expire_ByPlan_TakesEachAtItsTimeOnceAndInPortions()
    {
        var known = await fixture.TenantAsync("scale");
        var unknown = await fixture.TenantAsync("no-such-plan");
        await using var source = NpgsqlDataSource.Create(fixture.Database.ConnectionString);
        var (store, commands) = (new LogRetentionStore(source), new CommandStore(source));
        var now = DateTimeOffset.UtcNow;
        await FinishedAsync(known, days: 1001);
        await FinishedAsync(known, days: 1001);
        var spared = await FinishedAsync(known, days: 999);
        var other = await FinishedAsync(unknown, days: 999);

        var expired = new List<int>();
        for (var i = 0; i < 5; i++)
        {
            expired.Add(await store.ExpireAsync([new("SCALE", now.AddDays(-1000))], now.AddDays(-998), 2, CancellationToken.None));
        }

        Assert.Equal([2, 1, 0, 0, 0], expired);
        Assert.False((await commands.FindAsync(spared, CancellationToken.None))!.IsLogExpired);
        Assert.True((await commands.FindAsync(other, CancellationToken.None))!.IsLogExpired);
    }

    [Fact]
    public async Task Expire_WhileTheDatabaseIsAway_GoesOn()
    {
        await using var away = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={FreePort.Next()};Username=u;Password=p;Timeout=1");
        var log = new EventLog<LogRetentionSweeper>();
        var sweep = new ObjectSweepOptions { Interval = TimeSpan.FromSeconds(0.05) };
        using var retention = new LogRetentionSweeper(
            new LogRetentionStore(away), Options.Create(new ApiOptions()), Options.Create(sweep), TimeProvider.System, log);

        await retention.StartAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => log.Count(2190) >= 3, "it has tried again and again");

        Assert.False(retention.ExecuteTask!.IsCompleted);
        await retention.StopAsync(CancellationToken.None);
    }

    /// <summary>A command with two chunks, whose log is stored and which ended some days ago.</summary>
    private async Task<string> FinishedAsync(Tenant tenant, int days)
    {
        var command = (await tenant.RunAsync(await tenant.SandboxAsync(), new { command = "out a; out b" }).JsonAsync()).GetProperty("command");
        var id = command.Text("id")!;
        await fixture.Worker.Command(id).MoveLogToObjectAsync(tenant.OrgId);
        await fixture.Database.ExecuteAsync($"UPDATE commands SET finished_at = now() - interval '{days} days' WHERE id = '{id}'");
        return id;
    }
}
