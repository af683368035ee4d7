using Npgsql;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// A sweep that judges by leases. A database that was away made every lease lapse, so nobody is lost until everybody had the time to renew.
/// </summary>
/// <param name="outageGrace">How long the database must have answered.</param>
internal abstract class LapsedLeaseSweeper(
    NpgsqlDataSource database, TimeSpan interval, TimeSpan outageGrace, TimeProvider time, ILogger logger) : Sweeper(interval, time, logger)
{
    private DateTimeOffset? _answersSince;

    protected abstract Task CloseLapsedAsync(CancellationToken cancellationToken);

    protected sealed override async Task SweepAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var ping = database.CreateCommand("SELECT 1");
            await ping.ExecuteScalarAsync(cancellationToken);
            _answersSince ??= Time.GetUtcNow();
            if (Time.GetUtcNow() - _answersSince >= outageGrace)
            {
                await CloseLapsedAsync(cancellationToken);
            }
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            _answersSince = null;
            throw;
        }
    }
}
