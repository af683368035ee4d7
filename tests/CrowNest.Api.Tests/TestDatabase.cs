using CrowNest.Api.Auth;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace CrowNest.Api.Tests;

/// <summary>A database of a test, with shortcuts to put rows into it.</summary>
internal sealed class TestDatabase(string connectionString)
{
    /// <summary>Secret of the key that the API adds at its start.</summary>
    public const string Key = "cn_live_Test0123456789abcdefghijklmnopqrstuv";

    private static readonly string ObjectsRoot = MakeObjectsRoot();

    public string ConnectionString { get; } = connectionString;

    /// <summary>Objects that belong to the rows.</summary>
    public string ObjectsDirectory { get; } = Path.Combine(ObjectsRoot, Guid.NewGuid().ToString("n"));

    public static async Task<TestDatabase> CreateAsync(PostgresFixture postgres) => new(await postgres.CreateDatabaseAsync());

    public CrowNestDb Open() => new(new DbContextOptionsBuilder<CrowNestDb>().UseNpgsql(ConnectionString).Options);

    public async Task<int> ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteNonQueryAsync();
    }

    /// <summary>An API key of the first organization, or of another one.</summary>
    /// <returns>The secret.</returns>
    public async Task<string> AddKeyAsync(string[]? scopes = null, string[]? projectIds = null, string? orgId = null)
    {
        await using var database = Open();
        var secret = $"cn_live_{Guid.NewGuid():n}";
        var org = orgId ?? (await database.Organizations.OrderBy(o => o.CreatedAt).FirstAsync()).Id;
        database.Add(new ApiKeyEntity
        {
            Id = Ids.New(Ids.ApiKey),
            OrgId = org,
            Name = "test",
            Prefix = secret[..12],
            Last4 = secret[^4..],
            SecretHash = CredentialStore.Hash(secret),
            Scopes = scopes ?? [.. Scopes.All],
            ProjectIds = projectIds,
            CreatedByUserId = "usr_test",
            CreatedAt = DateTimeOffset.UtcNow,
        });
        await database.SaveChangesAsync();
        return secret;
    }

    /// <summary>A second organization with a default project.</summary>
    public async Task<(string OrgId, string ProjectId)> AddOrganizationAsync(string plan = "builder")
    {
        await using var database = Open();
        var org = Ids.New(Ids.Organization);
        database.Add(new Organization { Id = org, Name = "other", Plan = plan, CreatedAt = DateTimeOffset.UtcNow });
        await database.SaveChangesAsync();
        return (org, await AddProjectAsync(org, isDefault: true));
    }

    public async Task<string> AddProjectAsync(string? orgId = null, bool isDefault = false, DateTimeOffset? createdAt = null)
    {
        await using var database = Open();
        var org = orgId ?? (await database.Organizations.OrderBy(o => o.CreatedAt).FirstAsync()).Id;
        var project = new ProjectEntity
        {
            Id = Ids.New(Ids.Project),
            OrgId = org,
            Name = "project",
            IsDefault = isDefault,
            CreatedAt = createdAt ?? DateTimeOffset.UtcNow,
        };
        database.Add(project);
        await database.SaveChangesAsync();
        return project.Id;
    }

    /// <summary>One folder for all databases of the run; an instance of the API that is gone cannot bring its own back after this.</summary>
    private static string MakeObjectsRoot()
    {
        var root = Directory.CreateTempSubdirectory("crownest-test-objects-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        return root;
    }
}
