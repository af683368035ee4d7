using System.Data.Common;
using CrowNest.Api.Auth.Links;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>Retires the key that signs links when it is old. Every instance looks; the first one does it.</summary>
internal sealed partial class SigningKeyRotation(
    SigningKeys keys, IOptions<ApiOptions> options, TimeProvider time, ILogger<SigningKeyRotation> logger) : BackgroundService
{
    private static readonly TimeSpan LongestInterval = TimeSpan.FromMinutes(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var age = options.Value.SignedUrls.RotateAfter;
        using var timer = new PeriodicTimer(age / 10 < LongestInterval ? age / 10 : LongestInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                var before = await keys.CurrentAsync(stoppingToken);
                if (before.CreatedAt + age <= time.GetUtcNow()
                    && await keys.RotateAsync(before.CreatedAt, revoke: false, stoppingToken) is var now && now.Id != before.Id)
                {
                    LogRotated(before.Id, now.Id);
                }
            }
            catch (DbException exception)
            {
                LogFailed(exception);
            }
        }
    }

    [LoggerMessage(1310, LogLevel.Information,
        "Links are signed with {NewKeyId} from now on; those of {OldKeyId} stay good until they expire.")]
    private partial void LogRotated(string oldKeyId, string newKeyId);

    [LoggerMessage(1311, LogLevel.Warning, "The age of the key that signs links can not be looked at; the next round tries again.")]
    private partial void LogFailed(Exception exception);
}
