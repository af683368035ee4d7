using CrowNest.Api.Maintenance;
using CrowNest.Api.Tests.WorkspaceRuns;
using CrowNest.Api.WorkspaceRuns;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Storage;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.Objects;

/// <summary>Objects that nothing needs go, on every driver there is, and no other does.</summary>
public sealed class UnusedObjectSweeperTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    private static readonly (string, string?)[] AtOnce =
        [("Api:Objects:Interval", "00:00:00.1"), ("Api:Objects:SpareArchives", "00:00:00"), ("Api:Objects:SpareOthers", "00:00:00")];

    /// <summary>Settings of each driver; that of S3 joins when <c>CROWNEST_TEST_S3_…</c> name a server.</summary>
    public static TheoryData<string> Drivers =>
        S3("ENDPOINT") is null ? [ObjectsOptions.Folder] : [ObjectsOptions.Folder, ObjectsOptions.S3];

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Sweep_OfEveryKind_RemovesWhatNoRowNeedsAndNothingElse(string driver)
    {
        var tenant = await fixture.TenantAsync();
        var org = tenant.OrgId;
        var open = await tenant.UploadedAsync();
        var ended = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(ended, "start");
        await TestRunWorker.Of(fixture).CarryAsync(ended);
        var runs = fixture.Api.Services.GetRequiredService<WorkspaceRunStore>();
        var row = (await runs.FindAsync(ended, default))!;
        var sandbox = await tenant.SandboxAsync();
        var command = await tenant.CommandAsync(sandbox, "exit 0");
        var storing = await AddArtifactAsync(org, sandbox);
        var removed = await AddArtifactAsync(org, sandbox);
        await fixture.Database.ExecuteAsync(
            $"UPDATE artifacts SET state = 'deleted', deleted_at = now(), bytes_removed_at = now() WHERE object_key = '{removed}'");
        string[] needed =
        [
            row.EvidenceKey!, row.ArchiveKey!, (await runs.FindAsync(open, default))!.ArchiveKey!,
            ObjectKey.RunEvidence(org, open, "ev_perhaps_named_soon"), storing, ObjectKey.CommandLog(org, command),
            // Of another deployment in the same bucket, or of a database that was replaced.
            ObjectKey.Artifact($"org_other_{Guid.NewGuid():n}", "art_other"),
        ];
        string[] orphans =
        [
            ObjectKey.RunArchive(org, open, "up_other"), ObjectKey.RunArchive(org, "wsr_none", "up_none"),
            ObjectKey.RunEvidence(org, ended, "ev_other"), ObjectKey.RunEvidence(org, "wsr_none", "ev_none"),
            removed, ObjectKey.Artifact(org, "art_none"), ObjectKey.CommandLog(org, "cmd_none"),
        ];

        await using var api = fixture.StartApi([.. SettingsOf(driver), .. AtOnce]);
        var objects = api.Services.GetRequiredService<IObjectStore>();
        foreach (var key in needed.Concat(orphans))
        {
            await PutAsync(objects, key);
        }

        await GoneAsync(objects, orphans);
        // A whole round lies between two archives that went one after the other.
        await RoundAsync(objects, org);
        foreach (var key in needed)
        {
            Assert.True(await objects.StatAsync(key, default) is not null, $"{key} is gone");
            await objects.DeleteAsync(key, default);
        }
    }

    [Fact]
    public async Task Sweep_OfYoungObjects_SparesThem()
    {
        var org = (await fixture.TenantAsync()).OrgId;
        await using var api = fixture.StartApi([.. AtOnce, ("Api:Objects:SpareOthers", "01:00:00")]);
        var objects = api.Services.GetRequiredService<IObjectStore>();
        string[] young =
            [ObjectKey.RunEvidence(org, "wsr_none", "ev"), ObjectKey.Artifact(org, "art_none"), ObjectKey.CommandLog(org, "cmd_none")];
        foreach (var key in young)
        {
            await PutAsync(objects, key);
        }

        await RoundAsync(objects, org);
        foreach (var key in young)
        {
            Assert.NotNull(await objects.StatAsync(key, default));
        }
    }

    [Fact]
    public async Task Sweep_WhileTheDatabaseIsAway_RemovesNothingAndGoesOn()
    {
        var org = (await fixture.TenantAsync()).OrgId;
        var objects = fixture.Api.Services.GetRequiredService<IObjectStore>();
        var orphan = ObjectKey.Artifact(org, "art_none_at_all");
        await PutAsync(objects, orphan);
        await using var away = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={FreePort.Next()};Username=u;Password=p;Timeout=1");
        var log = new EventLog<UnusedObjectSweeper>();
        using (var sweep = SweepOf(away, objects, log))
        {
            await sweep.StartAsync(default);
            await Eventually.HoldsAsync(() => log.Count(2601) >= 3, "it has tried again and again");
            Assert.False(sweep.ExecuteTask!.IsCompleted);
            await sweep.StopAsync(default);
        }

        Assert.NotNull(await objects.StatAsync(orphan, default));
    }

    [Fact]
    public async Task Sweep_WhenTheStoreIsBack_RemovesAndTellsHowMany()
    {
        var org = (await fixture.TenantAsync()).OrgId;
        var objects = fixture.Api.Services.GetRequiredService<IObjectStore>();
        var orphan = ObjectKey.Artifact(org, "art_none");
        await PutAsync(objects, orphan);
        await using var database = NpgsqlDataSource.Create(fixture.Database.ConnectionString);
        var log = new EventLog<UnusedObjectSweeper>();
        using var sweep = SweepOf(database, new FailingStore(objects, failures: 6), log);
        await sweep.StartAsync(default);
        await GoneAsync(objects, [orphan]);
        await sweep.StopAsync(default);
        Assert.Equal(6, log.Count(2601));
        Assert.True(log.Count(2600) > 0);
    }

    private static UnusedObjectSweeper SweepOf(NpgsqlDataSource database, IObjectStore objects, EventLog<UnusedObjectSweeper> log)
    {
        var options = Options.Create(
            new ObjectSweepOptions { Interval = TimeSpan.FromSeconds(0.05), SpareArchives = TimeSpan.Zero, SpareOthers = TimeSpan.Zero });
        var rules = new ObjectRules(new ObjectUseStore(database), options, Options.Create(new WorkspaceRunOptions()));
        return new UnusedObjectSweeper(rules, objects, options, TimeProvider.System, log);
    }

    private async Task<string> AddArtifactAsync(string org, string sandbox)
    {
        var id = Ids.New(Ids.Artifact);
        var now = DateTimeOffset.UtcNow;
        await fixture.Api.Services.GetRequiredService<ArtifactStore>().InsertAsync(
            new NewArtifact
            {
                Id = id,
                SandboxId = sandbox,
                Name = "x",
                ObjectKey = ObjectKey.Artifact(org, id),
                ContentType = "text/plain",
                Metadata = new Dictionary<string, string>(),
                CreatedAt = now,
                RetentionExpiresAt = now.AddDays(1),
            },
            default);
        return ObjectKey.Artifact(org, id);
    }

    /// <summary>Until every rule has been applied at least once from now on.</summary>
    private static async Task RoundAsync(IObjectStore objects, string org)
    {
        for (var i = 0; i < 2; i++)
        {
            var key = ObjectKey.RunArchive(org, "wsr_none", $"up_round_{i}");
            await PutAsync(objects, key);
            await GoneAsync(objects, [key]);
        }
    }

    private static Task GoneAsync(IObjectStore objects, string[] keys) => Eventually.HoldsAsync(
        async () => (await Task.WhenAll(keys.Select(k => objects.StatAsync(k, default)))).All(s => s is null),
        "what nothing needs is gone");

    private static async Task PutAsync(IObjectStore objects, string key)
    {
        using var content = new MemoryStream([1, 2, 3]);
        await objects.PutAsync(key, content, content.Length, default);
    }

    private static (string, string?)[] SettingsOf(string driver) => driver == ObjectsOptions.Folder ? [] :
    [
        ("Objects:Driver", driver), ("Objects:Endpoint", S3("ENDPOINT")), ("Objects:Bucket", S3("BUCKET")),
        ("Objects:AccessKey", S3("ACCESS_KEY")), ("Objects:SecretKey", S3("SECRET_KEY")),
    ];

    private static string? S3(string name) =>
        Environment.GetEnvironmentVariable($"CROWNEST_TEST_S3_{name}") is { Length: > 0 } value ? value : null;
}
