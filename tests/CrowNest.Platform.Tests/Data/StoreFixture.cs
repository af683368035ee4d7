using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Database;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Templates;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

/// <summary>A database for the store tests of one class; every test makes its own organization.</summary>
public sealed class StoreFixture(PostgresFixture postgres) : IAsyncLifetime
{
    public const string WorkerId = "wrk_test";

    private int _organizations;

    public NpgsqlDataSource Database { get; private set; } = null!;

    public SandboxStore Sandboxes { get; private set; } = null!;

    public CommandStore Commands { get; private set; } = null!;

    public TemplateVersionRow Version { get; } = new(
        "tplv_base_0123456789abcdef", "tpl_base", "base", "2026-11-22", "sha256:0123456789abcdef", NetworkPolicy.None,
        new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero));

    public async ValueTask InitializeAsync()
    {
        Database = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync());
        Sandboxes = new SandboxStore(Database);
        Commands = new CommandStore(Database);
        await using (var db = OpenModel())
        {
            db.Templates.Add(new TemplateEntity { Id = Version.TemplateId, Slug = Version.Slug, Description = "Minimal" });
            await db.SaveChangesAsync();
        }

        await new TemplateVersionStore(Database).AddAsync(Version, CancellationToken.None);
    }

    public ValueTask DisposeAsync() => Database.DisposeAsync();

    public CrowNestDb OpenModel() => new(new DbContextOptionsBuilder<CrowNestDb>().UseNpgsql(Database).Options);

    /// <summary>A new organization with one project.</summary>
    public async Task<Tenant> AddTenantAsync()
    {
        var number = Interlocked.Increment(ref _organizations);
        var tenant = new Tenant($"org_{number}", $"prj_{number}");
        await using var db = OpenModel();
        db.Organizations.Add(new Organization { Id = tenant.OrgId, Name = "Test", Plan = "builder" });
        db.Projects.Add(new ProjectEntity { Id = tenant.ProjectId, OrgId = tenant.OrgId, Name = "Default", IsDefault = true });
        await db.SaveChangesAsync();
        return tenant;
    }

    public NewSandbox NewSandbox(Tenant tenant, DateTimeOffset? createdAt = null, IReadOnlyDictionary<string, string>? metadata = null) => new()
    {
        Id = Ids.New(Ids.Sandbox),
        OrgId = tenant.OrgId,
        ProjectId = tenant.ProjectId,
        TemplateId = Version.TemplateId,
        TemplateVersionId = Version.Id,
        Network = NetworkPolicy.None,
        Cpus = 1,
        MemoryMb = 512,
        TtlMs = 60_000,
        CreatedAt = createdAt ?? DateTimeOffset.UtcNow,
        Metadata = metadata ?? new Dictionary<string, string>(),
    };

    /// <summary>A sandbox that is ready on <paramref name="workerId"/>.</summary>
    public async Task<string> AddReadyAsync(Tenant tenant, string workerId = WorkerId, DateTimeOffset? createdAt = null)
    {
        var sandbox = NewSandbox(tenant, createdAt);
        Assert.Null(await Sandboxes.InsertAsync(sandbox, 1000, null, CancellationToken.None));
        Assert.True(await Sandboxes.MarkReadyAsync(
            sandbox.Id, workerId, "container", "runc", warm: true, sandbox.CreatedAt, CancellationToken.None));
        return sandbox.Id;
    }

    public static NewCommand NewCommand(string sandboxId, DateTimeOffset? createdAt = null) => new()
    {
        Id = Ids.New(Ids.Command),
        SandboxId = sandboxId,
        Command = "true",
        Cwd = Limits.Workspace,
        CreatedAt = createdAt ?? DateTimeOffset.UtcNow,
    };
}

public sealed record Tenant(string OrgId, string ProjectId)
{
    public Ownership Ownership => new(OrgId, null);
}
