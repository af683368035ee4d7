using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.Auth.Links;

/// <summary>A key that signs links.</summary>
internal sealed record SigningKey(string Id, DateTimeOffset CreatedAt, byte[] Secret);

/// <summary>
/// The keys of table <c>url_signing_keys</c>. The table has their names only; the keys are derived from those and the deployment's secret.
/// One of them signs; retired ones are accepted until their last link has expired. Every instance looks at the table again after
/// <see cref="ViewAge"/>, so that a revocation reaches all of them within it.
/// </summary>
internal sealed class SigningKeys(NpgsqlDataSource database, IOptions<ApiDeploymentOptions> deployment, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan ViewAge = TimeSpan.FromSeconds(1);

    /// <summary>Instances that have not seen a rotation yet sign with the old key for a moment.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    /// <summary>Names of refused keys are kept for so long, for whoever asks why a link died.</summary>
    private static readonly TimeSpan Remembrance = TimeSpan.FromDays(30);

    private readonly SemaphoreSlim _reading = new(1, 1);
    private View? _view;

    /// <summary>The key that signs now; made when there is none.</summary>
    public async ValueTask<SigningKey> CurrentAsync(CancellationToken cancellationToken)
    {
        if ((await ReadAsync(cancellationToken)).Current is { } current)
        {
            return current;
        }

        return await RotateAsync(retireUntil: DateTimeOffset.UnixEpoch, revoke: false, cancellationToken);
    }

    /// <summary>The key with this id if links of it are accepted. One that is not in view is looked up.</summary>
    public async ValueTask<SigningKey?> FindAsync(string id, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, Ids.UrlSigningKey))
        {
            return null;
        }

        var view = await ReadAsync(cancellationToken);
        return view.Accepted.GetValueOrDefault(id) ?? (await LoadAsync(id, cancellationToken)).Accepted.GetValueOrDefault(id);
    }

    /// <summary>
    /// Puts a new key in the place of the current one if that was made at <paramref name="retireUntil"/> or before, or if there is none.
    /// </summary>
    /// <param name="revoke">All links of all keys die at once.</param>
    /// <returns>The key that signs from now on.</returns>
    public async Task<SigningKey> RotateAsync(DateTimeOffset retireUntil, bool revoke, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var accepted = revoke ? TimeSpan.Zero : SignedUrls.LongestLifetime + Grace;
        await using var batch = database.CreateBatch();
        // One at a time: each statement sees what the one before did, also that of another instance.
        Add("SELECT pg_advisory_xact_lock(hashtextextended('url_signing_keys', 1))");
        Add("DELETE FROM url_signing_keys WHERE refused_at < @forget", ("forget", now - Remembrance));
        Add("UPDATE url_signing_keys SET refused_at = @now WHERE @revoke AND refused_at > @now", ("now", now), ("revoke", revoke));
        Add("""
            UPDATE url_signing_keys SET retired_at = @now, refused_at = @refuse
            WHERE retired_at IS NULL AND (@revoke OR created_at <= @until)
            """, ("now", now), ("refuse", now + accepted), ("revoke", revoke), ("until", retireUntil));
        Add("""
            INSERT INTO url_signing_keys (id, created_at)
            SELECT @id, @now WHERE NOT EXISTS (SELECT FROM url_signing_keys WHERE retired_at IS NULL)
            """, ("id", Ids.New(Ids.UrlSigningKey)), ("now", now));
        await batch.ExecuteNonQueryAsync(cancellationToken);

        var view = await LoadAsync(id: null, cancellationToken);
        Volatile.Write(ref _view, view);
        return view.Current ?? throw new InvalidOperationException("No key signs links right after one was made.");

        void Add(string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
        {
            var command = new NpgsqlBatchCommand(sql);
            foreach (var (name, value) in parameters)
            {
                command.Parameters.AddWithValue(name, value);
            }

            batch.BatchCommands.Add(command);
        }
    }

    public void Dispose() => _reading.Dispose();

    private async ValueTask<View> ReadAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _view) is { } known && IsFresh(known))
        {
            return known;
        }

        await _reading.WaitAsync(cancellationToken);
        try
        {
            if (Volatile.Read(ref _view) is { } view && IsFresh(view))
            {
                return view;
            }

            view = await LoadAsync(id: null, cancellationToken);
            Volatile.Write(ref _view, view);
            return view;
        }
        finally
        {
            _reading.Release();
        }

        bool IsFresh(View v) => time.GetElapsedTime(v.ReadAt) < ViewAge;
    }

    /// <param name="id">null: all keys.</param>
    private async Task<View> LoadAsync(string? id, CancellationToken cancellationToken)
    {
        var readAt = time.GetTimestamp();
        await using var sql = database.CreateCommand($"""
            SELECT id, created_at, retired_at IS NULL FROM url_signing_keys
            WHERE (refused_at IS NULL OR refused_at > @now) {(id is null ? "" : "AND id = @id")}
            """);
        sql.Parameters.AddWithValue("now", time.GetUtcNow());
        if (id is not null)
        {
            sql.Parameters.AddWithValue("id", id);
        }

        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        var accepted = new Dictionary<string, SigningKey>();
        SigningKey? current = null;
        while (await reader.ReadAsync(cancellationToken))
        {
            var key = new SigningKey(
                reader.GetString(0), reader.GetFieldValue<DateTimeOffset>(1), Derive(deployment.Value.DeploymentSecret, reader.GetString(0)));
            accepted.Add(key.Id, key);
            current = reader.GetBoolean(2) ? key : current;
        }

        return new View(readAt, accepted, current);
    }

    private static byte[] Derive(string deploymentSecret, string keyId) => HKDF.DeriveKey(
        HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(deploymentSecret), 32, info: Encoding.UTF8.GetBytes($"crownest signed urls {keyId}"));

    private sealed record View(long ReadAt, IReadOnlyDictionary<string, SigningKey> Accepted, SigningKey? Current);
}
