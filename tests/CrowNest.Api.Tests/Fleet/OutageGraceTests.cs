using CrowNest.Api.Tests.WorkspaceRuns;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using CrowNest.Platform.WorkspaceRuns;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace CrowNest.Api.Tests.Fleet;

/// <summary>
/// While the database is away nobody can renew a lease or upload: after a start, and after every outage, sandboxes and runs are given up
/// only when it has answered for <c>Api:Fleet:OutageGrace</c>.
/// </summary>
public sealed class OutageGraceTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);

    private readonly RedisFixture _redis = new();
    private TestDatabase _database = null!;
    private NpgsqlDataSource _source = null!;

    public async ValueTask InitializeAsync()
    {
        await _redis.InitializeAsync();
        _database = await TestDatabase.CreateAsync(postgres);
        _source = NpgsqlDataSource.Create(_database.ConnectionString);
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _redis.DisposeAsync();
    }

    [Fact]
    public async Task SandboxesAndRuns_OfNobody_AreClosedNoEarlierThanTheGraceAfterAnOutage()
    {
        var connection = new NpgsqlConnectionStringBuilder(_database.ConnectionString);
        using var relay = new TcpRelay(connection.Port);
        connection.Port = relay.Port;
        var started = DateTimeOffset.UtcNow;
        await using var api = new ApiInstance(_database, _redis.ConnectionString,
            ("ConnectionStrings:crownest", connection.ConnectionString), ("Api:Fleet:OutageGrace", $"{Grace}"),
            ("Api:Fleet:BooksInterval", "00:00:00.1"), ("Api:WorkspaceRuns:SweepInterval", "00:00:00.1"));
        var logs = new LogLines();
        api.Services.GetRequiredService<ILoggerFactory>().AddProvider(logs);
        await ResourceFixture.AddVersionsAsync(_database);
        var (org, project) = await _database.AddOrganizationAsync();
        using var client = api.Client(await _database.AddKeyAsync(orgId: org));
        var tenant = new Tenant(null!, org, project, "", client);
        var later = await tenant.RunAsync();

        await ClosedAfterTheGraceAsync(started, await LostCommandAsync(org, project), await OverdueAsync(await tenant.RunAsync()));

        relay.Cut();
        var command = await LostCommandAsync(org, project);
        await OverdueAsync(later);
        await Eventually.HoldsAsync(
            () => new[] { "LostSandboxSweeper", "AbandonedRunSweeper" }.All(
                sweeper => logs.All.Any(l => l.Contains($"{sweeper} could not finish its round", StringComparison.Ordinal))),
            "both sweeps have found the database away");
        var back = DateTimeOffset.UtcNow;
        relay.Restore();
        await ClosedAfterTheGraceAsync(back, command, later);
    }

    private async Task ClosedAfterTheGraceAsync(DateTimeOffset answersSince, string commandId, string runId)
    {
        var (commands, runs) = (new CommandStore(_source), new WorkspaceRunStore(_source));
        var command = await Eventually.GivesAsync(
            () => commands.FindAsync(commandId, default), c => c!.IsFinal, "the sandbox's books are closed", TimeSpan.FromSeconds(30));
        var run = await Eventually.GivesAsync(
            () => runs.FindAsync(runId, default), r => r!.IsFinal, "the run is ended", TimeSpan.FromSeconds(30));
        Assert.Equal((CommandStatus.Killed, WorkspaceRunStatus.Failed), (command!.State, run!.Status));
        Assert.True(command.FinishedAt >= answersSince + Grace, $"The sandbox was given up after {command.FinishedAt - answersSince}.");
        Assert.True(run.FinishedAt >= answersSince + Grace, $"The run was given up after {run.FinishedAt - answersSince}.");
    }

    /// <summary>A command in a sandbox of a node whose lease lapsed long ago.</summary>
    private async Task<string> LostCommandAsync(string org, string project)
    {
        var (sandboxes, now, worker) = (new SandboxStore(_source), DateTimeOffset.UtcNow, Ids.New(Ids.Worker));
        await new WorkerStore(_source).RenewLeaseAsync(worker, "http://127.0.0.1:1", "runc", now, TimeSpan.FromMinutes(-10), default);
        var sandbox = new NewSandbox
        {
            Id = Ids.New(Ids.Sandbox),
            OrgId = org,
            ProjectId = project,
            TemplateId = TemplateSlugs.TemplateId(TemplateSlugs.Default),
            TemplateVersionId = ResourceFixture.Version,
            Network = NetworkPolicy.None,
            Cpus = 1,
            MemoryMb = 512,
            TtlMs = 600_000,
            CreatedAt = now,
            Metadata = new Dictionary<string, string>(),
        };
        var command = new NewCommand
        {
            Id = Ids.New(Ids.Command),
            SandboxId = sandbox.Id,
            Command = "true",
            Cwd = Limits.Workspace,
            CreatedAt = now,
        };
        // Of an unknown node at first: a sweep between two of these statements must not find it lost already.
        Assert.Null(await sandboxes.InsertAsync(sandbox, 1000, null, default));
        Assert.True(await sandboxes.MarkReadyAsync(sandbox.Id, "wrk_none", "container", "runc", warm: true, now, default));
        Assert.True((await new CommandStore(_source).InsertAsync(new Ownership(org, null), command, null, default))!.Added);
        await _database.ExecuteAsync($"UPDATE sandboxes SET worker_id = '{worker}' WHERE id = '{sandbox.Id}'");
        return command.Id;
    }

    /// <summary>Makes the run one whose archive never came.</summary>
    private async Task<string> OverdueAsync(string runId)
    {
        await _database.ExecuteAsync($"UPDATE workspace_runs SET created_at = created_at - interval '25 hours' WHERE id = '{runId}'");
        return runId;
    }
}
