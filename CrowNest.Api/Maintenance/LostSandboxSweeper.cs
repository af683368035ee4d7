using CrowNest.Api.Nodes;
using CrowNest.Platform.Sandboxes;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Closes the books of what has lost its owner: sandboxes of nodes whose lease lapsed, and those that the dead instance of an API had
/// accepted but brought to no node (docs/architecture.md, "What fails"). Commands that were never delivered are their node's matter. Every
/// instance does it; each change is conditional, so that they do not disturb each other.
/// </summary>
internal sealed partial class LostSandboxSweeper(
    NpgsqlDataSource database, SandboxStore sandboxes, LostOutputRecovery rescue, IOptions<FleetOptions> options, TimeProvider time,
    ILogger<LostSandboxSweeper> logger)
    : LapsedLeaseSweeper(database, options.Value.BooksInterval, options.Value.OutageGrace, time, logger)
{
    protected override async Task CloseLapsedAsync(CancellationToken cancellationToken)
    {
        var now = Time.GetUtcNow();
        var abandoned = now - options.Value.AbandonedAfter;
        var lost = await sandboxes.CloseAbandonedAsync(now, abandoned, cancellationToken);
        if (lost.SandboxIds.Count > 0)
        {
            LogClosed(Logger, lost.SandboxIds.Count, lost.CommandIds.Count);
        }

        foreach (var commandId in lost.CommandIds)
        {
            await rescue.SaveAsync(commandId, cancellationToken);
        }
    }

    [LoggerMessage(2110, LogLevel.Warning, "Closed the books of {Sandboxes} sandboxes that have lost their node, and of {Commands} commands.")]
    private static partial void LogClosed(ILogger logger, int sandboxes, int commands);
}
