using CrowNest.Api.Nodes;
using CrowNest.Platform.Sandboxes;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Closes the books of what has lost its owner: sandboxes of nodes whose lease lapsed, and those that the dead instance of an API had
/// accepted but brought to no node (design: Failing well). Commands that were never delivered are their node's matter. Every instance does
/// it; each change is conditional, so that they do not disturb each other.
/// </summary>
internal sealed partial class LostSandboxSweeper(
    NpgsqlDataSource database, SandboxStore sandboxes, LostOutputRecovery rescue, IOptions<FleetOptions> options, TimeProvider time,
    ILogger<LostSandboxSweeper> logger)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.BooksInterval, time);
        // A database that was away made every lease lapse. Nobody is lost until everybody had the time to renew.
        DateTimeOffset? answersSince = null;
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await using var ping = database.CreateCommand("SELECT 1");
                await ping.ExecuteScalarAsync(stoppingToken);
                answersSince ??= time.GetUtcNow();
                if (time.GetUtcNow() - answersSince >= options.Value.OutageGrace)
                {
                    await CloseAsync(stoppingToken);
                }
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                answersSince = null;
                LogDatabaseAway(e);
            }
        }
    }

    private async Task CloseAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var abandoned = now - options.Value.AbandonedAfter;
        var lost = await sandboxes.CloseAbandonedAsync(now, abandoned, cancellationToken);
        if (lost.SandboxIds.Count > 0)
        {
            LogClosed(lost.SandboxIds.Count, lost.CommandIds.Count);
        }

        foreach (var commandId in lost.CommandIds)
        {
            await rescue.SaveAsync(commandId, cancellationToken);
        }
    }

    [LoggerMessage(2110, LogLevel.Warning, "Closed the books of {Sandboxes} sandboxes that have lost their node, and of {Commands} commands.")]
    private partial void LogClosed(int sandboxes, int commands);

    [LoggerMessage(2111, LogLevel.Warning, "The books can not be looked at: the database is away.")]
    private partial void LogDatabaseAway(Exception exception);
}
