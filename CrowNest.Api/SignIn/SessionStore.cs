using System.Security.Cryptography;
using CrowNest.Api.Auth;
using CrowNest.Contracts;
using Npgsql;

namespace CrowNest.Api.SignIn;

/// <summary>A session's bearer, shown once.</summary>
internal sealed record NewSession(string Token, DateTimeOffset ExpiresAt, SignedInUser User);

internal sealed record SignedInUser(string Id, string OrgId, string Name, string Role);

/// <summary>Sessions and the one-time links that open them. Only hashes of their secrets are stored.</summary>
internal sealed class SessionStore(NpgsqlDataSource database, TimeProvider time)
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>A link's token for the deployment's owner.</summary>
    public async Task<(string Token, DateTimeOffset ExpiresAt)> CreateLinkAsync(TimeSpan lifetime, CancellationToken cancellationToken)
    {
        var token = NewSecret("cn_signin_");
        var now = time.GetUtcNow();
        // Old links go when a new one is made: there is nothing else they would be in the way of.
        await using var sql = database.CreateCommand($"""
            WITH old AS (DELETE FROM sign_in_links WHERE expires_at < @now)
            INSERT INTO sign_in_links (secret_hash, user_id, created_at, expires_at)
            SELECT @hash, id, @now, @expires FROM ({Owner}) AS owner
            """);
        sql.Parameters.AddWithValue("hash", CredentialStore.Hash(token));
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("expires", now + lifetime);
        await sql.ExecuteNonQueryAsync(cancellationToken);
        return (token, now + lifetime);
    }

    /// <summary>Uses a link up; null when it is unknown, used or expired.</summary>
    public Task<NewSession?> RedeemAsync(string linkToken, TimeSpan lifetime, CancellationToken cancellationToken) =>
        CreateAsync(
            """
            UPDATE sign_in_links SET used_at = @now WHERE secret_hash = @link AND used_at IS NULL AND expires_at > @now
            RETURNING user_id AS id
            """,
            lifetime, new NpgsqlParameter("link", CredentialStore.Hash(linkToken)), cancellationToken);

    /// <summary>A session of the deployment's owner without a link, for the launcher.</summary>
    public async Task<NewSession> CreateForOwnerAsync(TimeSpan lifetime, CancellationToken cancellationToken) =>
        await CreateAsync(Owner, lifetime, null, cancellationToken) ?? throw new InvalidOperationException("The deployment has no owner.");

    /// <summary>Ends a session; false when there is none with this bearer.</summary>
    public async Task<bool> RevokeAsync(string token, CancellationToken cancellationToken)
    {
        await using var sql = database.CreateCommand(
            "UPDATE sessions SET revoked_at = @now WHERE secret_hash = @hash AND revoked_at IS NULL AND expires_at > @now");
        sql.Parameters.AddWithValue("hash", CredentialStore.Hash(token));
        sql.Parameters.AddWithValue("now", time.GetUtcNow());
        return await sql.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private const string Owner = "SELECT id FROM users WHERE role = 'owner' ORDER BY created_at, id LIMIT 1";

    /// <param name="user">Statement that gives the user's id, or nothing.</param>
    private async Task<NewSession?> CreateAsync(
        string user, TimeSpan lifetime, NpgsqlParameter? parameter, CancellationToken cancellationToken)
    {
        var token = NewSecret("cn_session_");
        var now = time.GetUtcNow();
        await using var sql = database.CreateCommand($"""
            WITH who AS ({user}),
            old AS (DELETE FROM sessions WHERE expires_at < @now - interval '1 day'),
            added AS (
                INSERT INTO sessions (id, org_id, user_id, secret_hash, created_at, expires_at)
                SELECT @id, u.org_id, u.id, @hash, @now, @expires FROM users u JOIN who ON who.id = u.id)
            SELECT u.id, u.org_id, u.name, u.role FROM users u JOIN who ON who.id = u.id
            """);
        sql.Parameters.AddWithValue("id", Ids.New(Ids.Session));
        sql.Parameters.AddWithValue("hash", CredentialStore.Hash(token));
        sql.Parameters.AddWithValue("now", now);
        sql.Parameters.AddWithValue("expires", now + lifetime);
        if (parameter is not null)
        {
            sql.Parameters.Add(parameter);
        }

        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new NewSession(token, now + lifetime,
                new SignedInUser(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetString(3)))
            : null;
    }

    private static string NewSecret(string prefix) => prefix + RandomNumberGenerator.GetString(Alphabet, 43);
}
