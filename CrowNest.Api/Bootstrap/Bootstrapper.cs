using CrowNest.Api.Auth;
using CrowNest.Api.Templates;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Templates;
using CrowNest.Platform.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.Bootstrap;

/// <summary>
/// Before the API listens: applies the migrations, and gives an empty database its organization, owner, default project, templates and
/// first API key. Any number of instances may start at once; an advisory lock lets one at a time through.
/// </summary>
internal sealed partial class Bootstrapper(
    IDbContextFactory<CrowNestDb> databases, IOptions<ApiOptions> api, IOptions<BootstrapOptions> bootstrap,
    BootstrapConsole console, TimeProvider time, ILogger<Bootstrapper> logger) : IHostedService
{
    /// <summary>Key of the advisory lock: any number that nothing else in the database uses.</summary>
    private const long Lock = 0x63726f776e657374;

    private static readonly TimeSpan PatienceForPostgres = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        using var timer = new PeriodicTimer(RetryInterval, time);
        while (true)
        {
            try
            {
                await RunAsync(cancellationToken);
                return;
            }
            catch (NpgsqlException exception) when (exception.IsTransient && time.GetElapsedTime(began) < PatienceForPostgres)
            {
                LogWaiting(logger, exception.Message);
                await timer.WaitForNextTickAsync(cancellationToken);
            }
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var database = await databases.CreateDbContextAsync(cancellationToken);
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        database.Database.SetCommandTimeout(TimeSpan.FromMinutes(5));
        await database.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock({Lock})", cancellationToken);
        await using (var migrating = await databases.CreateDbContextAsync(cancellationToken))
        {
            migrating.Database.SetCommandTimeout(TimeSpan.FromMinutes(5));
            await migrating.Database.MigrateAsync(cancellationToken);
        }

        await AddTemplatesAsync(database, cancellationToken);
        var owner = await database.Users.Where(u => u.Role == UserRoles.Owner).OrderBy(u => u.CreatedAt).ThenBy(u => u.Id)
            .FirstOrDefaultAsync(cancellationToken) ?? AddOrganization(database);
        var generated = await AddKeyAsync(database, owner, cancellationToken);
        await database.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        if (generated is not null)
        {
            // Not through the logger: logs are kept and shipped, and this is shown once.
            await console.Out.WriteLineAsync($"CrowNest API key (shown only now): {generated}".AsMemory(), cancellationToken);
            await console.Out.FlushAsync(cancellationToken);
        }
    }

    private static async Task AddTemplatesAsync(CrowNestDb database, CancellationToken cancellationToken)
    {
        var known = await database.Templates.ToDictionaryAsync(t => t.Slug, cancellationToken);
        foreach (var slug in TemplateSlugs.All)
        {
            var description = TemplateDescriptions.Of(slug);
            if (known.TryGetValue(slug, out var template))
            {
                template.Description = description;
            }
            else
            {
                database.Templates.Add(new TemplateEntity { Id = TemplateSlugs.TemplateId(slug), Slug = slug, Description = description });
            }
        }
    }

    private User AddOrganization(CrowNestDb database)
    {
        var now = time.GetUtcNow();
        var organization = new Organization
        {
            Id = Ids.New(Ids.Organization),
            Name = "My organization",
            Plan = api.Value.DefaultPlan,
            CreatedAt = now,
        };
        var owner = new User { Id = Ids.New(Ids.User), OrgId = organization.Id, Name = "Owner", Role = UserRoles.Owner, CreatedAt = now };
        database.Add(organization);
        database.Add(owner);
        database.Add(new ProjectEntity
        {
            Id = Ids.New(Ids.Project),
            OrgId = organization.Id,
            Name = "Default",
            IsDefault = true,
            CreatedAt = now,
        });
        return owner;
    }

    /// <summary>Adds the key that the environment names, or on a first start a generated one, which it returns.</summary>
    private async Task<string?> AddKeyAsync(CrowNestDb database, User owner, CancellationToken cancellationToken)
    {
        if (bootstrap.Value.ApiKey is { Length: > 0 } given)
        {
            var hash = CredentialStore.Hash(given);
            if (await database.ApiKeys.FirstOrDefaultAsync(k => k.SecretHash == hash, cancellationToken) is not { } existing)
            {
                AddKey(database, owner, given);
                LogKeyAdded(logger, BootstrapKey.Variable);
            }
            else if (existing.RevokedAt is not null)
            {
                LogKeyRevoked(logger, BootstrapKey.Variable);
            }

            return null;
        }

        if (await database.ApiKeys.AnyAsync(cancellationToken))
        {
            return null;
        }

        var generated = BootstrapKey.Generate();
        AddKey(database, owner, generated);
        return generated;
    }

    private void AddKey(CrowNestDb database, User owner, string secret) => database.Add(new ApiKeyEntity
    {
        Id = Ids.New(Ids.ApiKey),
        OrgId = owner.OrgId,
        Name = "Bootstrap",
        Prefix = secret[..12],
        Last4 = secret[^4..],
        SecretHash = CredentialStore.Hash(secret),
        Scopes = [.. Scopes.All],
        CreatedByUserId = owner.Id,
        CreatedAt = time.GetUtcNow(),
    });

    [LoggerMessage(1301, LogLevel.Warning, "Postgres is not reachable yet ({Reason}).")]
    private static partial void LogWaiting(ILogger logger, string reason);

    [LoggerMessage(1302, LogLevel.Information, "Added the API key of {Variable}.")]
    private static partial void LogKeyAdded(ILogger logger, string variable);

    [LoggerMessage(1303, LogLevel.Warning, "The API key of {Variable} was revoked and stays so.")]
    private static partial void LogKeyRevoked(ILogger logger, string variable);
}

/// <summary>Where the generated key is shown.</summary>
internal sealed record BootstrapConsole(TextWriter Out);

/// <summary>Roles of a user.</summary>
internal static class UserRoles
{
    public const string Owner = "owner";
}
