using System.Data.Common;
using CrowNest.Platform.Storage;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>
/// Removes objects that nothing needs: what a crash left between an object and its row, and what the rules let go in time. Every instance
/// does it; an object may be removed twice.
/// </summary>
internal sealed partial class UnusedObjectSweeper(
    ObjectRules rules, IObjectStore objects, IOptions<ObjectSweepOptions> options, TimeProvider time, ILogger<UnusedObjectSweeper> logger)
    : Sweeper(options.Value.Interval, time, logger)
{
    protected override async Task SweepAsync(CancellationToken cancellationToken)
    {
        foreach (var rule in rules.All)
        {
            try
            {
                await SweepAsync(rule, cancellationToken);
            }
            catch (Exception e) when (e is DbException or TimeoutException or ObjectStoreException)
            {
                // The other rules may need something else.
                LogFailed(Logger, rule.Prefix, e);
            }
        }
    }

    private async Task SweepAsync(ObjectRule rule, CancellationToken cancellationToken)
    {
        var now = Time.GetUtcNow();
        string? after = null;
        do
        {
            var page = await objects.ListAsync(rule.Prefix, after, now - rule.Spare, ObjectPage.MaxLimit, cancellationToken);
            if (page.Objects.Count > 0)
            {
                var unneeded = await rule.ListUnneededAsync([.. page.Objects.Select(o => o.Key)], now, cancellationToken);
                await RemoveAsync(rule, unneeded, cancellationToken);
            }

            after = page.Next;
        }
        while (after is not null);
    }

    private async Task RemoveAsync(ObjectRule rule, List<string> keys, CancellationToken cancellationToken)
    {
        var removed = 0;
        try
        {
            foreach (var key in keys)
            {
                await objects.DeleteAsync(key, cancellationToken);
                removed++;
            }
        }
        finally
        {
            if (removed > 0)
            {
                LogRemoved(Logger, removed, rule.Prefix);
            }
        }
    }

    [LoggerMessage(2600, LogLevel.Information, "Removed {Count} objects below {Prefix} that nothing needs.")]
    private static partial void LogRemoved(ILogger logger, int count, string prefix);

    [LoggerMessage(2601, LogLevel.Warning, "Objects below {Prefix} that nothing needs cannot be removed; the next round tries again.")]
    private static partial void LogFailed(ILogger logger, string prefix, Exception exception);
}

internal static class ObjectSweepServices
{
    public static IServiceCollection AddObjectSweep(this IServiceCollection services)
    {
        services.AddOptions<ObjectSweepOptions>().BindConfiguration(ObjectSweepOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<ObjectRules>();
        services.AddHostedService<UnusedObjectSweeper>();
        return services;
    }
}
