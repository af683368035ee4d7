using CrowNest.Api.Auth.Links;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Maintenance;

/// <summary>Retires the key that signs links when it is old. Every instance looks; the first one does it.</summary>
internal sealed partial class SigningKeyRotation(
    SigningKeys keys, IOptions<ApiOptions> options, TimeProvider time, ILogger<SigningKeyRotation> logger)
    : Sweeper(IntervalOf(options.Value), time, logger)
{
    private static readonly TimeSpan LongestInterval = TimeSpan.FromMinutes(10);

    protected override async Task SweepAsync(CancellationToken cancellationToken)
    {
        var age = options.Value.SignedUrls.RotateAfter;
        var before = await keys.CurrentAsync(cancellationToken);
        if (before.CreatedAt + age <= Time.GetUtcNow()
            && await keys.RotateAsync(before.CreatedAt, revoke: false, cancellationToken) is var now && now.Id != before.Id)
        {
            LogRotated(Logger, before.Id, now.Id);
        }
    }

    private static TimeSpan IntervalOf(ApiOptions options)
    {
        var tenth = options.SignedUrls.RotateAfter / 10;
        return tenth < LongestInterval ? tenth : LongestInterval;
    }

    [LoggerMessage(1310, LogLevel.Information,
        "Links are signed with {NewKeyId} from now on; those of {OldKeyId} stay good until they expire.")]
    private static partial void LogRotated(ILogger logger, string oldKeyId, string newKeyId);
}
