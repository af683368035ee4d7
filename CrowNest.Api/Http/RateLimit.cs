using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using CrowNest.Api.Auth;
using CrowNest.Contracts;
using CrowNest.Platform.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace CrowNest.Api.Http;

/// <summary>Takes a token of the caller's bucket for every request that is not exempt (docs/reference/api.md 2.9).</summary>
internal sealed class RateLimit(RequestDelegate next, TokenBuckets buckets)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Features.Get<Caller>() is { } caller && context.GetEndpoint()?.Metadata.GetMetadata<RateLimitExempt>() is null)
        {
            var wait = await buckets.TakeAsync(caller.CredentialId);
            if (wait > TimeSpan.Zero)
            {
                throw new ApiException(ErrorCodes.RateLimited, "Too many requests.",
                    new JsonObject { ["retryAfterMs"] = (long)Math.Ceiling(wait.TotalMilliseconds) })
                { RetryAfter = wait };
            }
        }

        await next(context);
    }
}

/// <summary>
/// Token buckets in Redis, shared by all instances. While Redis is away each instance counts for itself: a limit that is a little too
/// wide is better than none and better than an outage.
/// </summary>
internal sealed partial class TokenBuckets(
    RedisConnection redis, IOptions<ApiOptions> options, TimeProvider time, ILogger<TokenBuckets> logger)
{
    // One number says all: the time at which the bucket will be full again (generic cell rate algorithm). Redis's own clock, so that
    // instances need not agree on the time. Answers microseconds to wait, 0 for a token.
    private const string Script = """
        local t = redis.call('TIME')
        local now = t[1] * 1000000 + t[2]
        local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
        local wait = full - now - tonumber(ARGV[2])
        if wait > 0 then return math.ceil(wait) end
        redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
        return 0
        """;

    private const int MaxLocalBuckets = 10_000;

    /// <summary>Redis answers in well under a millisecond; a request does not wait longer than this for it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    /// <summary>After a failure Redis is left alone for so long.</summary>
    private static readonly TimeSpan Retreat = TimeSpan.FromSeconds(2);

    private readonly long _costMicroseconds = Math.Max(1, 60_000_000L / options.Value.RateLimitPerMinute);
    private readonly ConcurrentDictionary<string, DateTimeOffset> _local = new();
    private long _retryRedisAt;

    private long BurstMicroseconds => _costMicroseconds * options.Value.RateLimitPerMinute;

    /// <summary>Takes a token; a positive answer says how long there is none.</summary>
    public async ValueTask<TimeSpan> TakeAsync(string credentialId)
    {
        if (time.GetTimestamp() >= Volatile.Read(ref _retryRedisAt))
        {
            try
            {
                return await TakeFromRedisAsync(credentialId).WaitAsync(Patience, time);
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                Volatile.Write(ref _retryRedisAt, time.GetTimestamp() + (long)(Retreat.TotalSeconds * time.TimestampFrequency));
                LogRedisAway(logger, exception.Message);
            }
        }

        ApiTelemetry.LocalRateLimits.Add(1);
        return TakeLocally(credentialId);
    }

    private async Task<TimeSpan> TakeFromRedisAsync(string credentialId)
    {
        var database = await redis.GetDatabaseAsync();
        var wait = (long)await database.ScriptEvaluateAsync(
            Script, [$"crownest:rate:{credentialId}"], [_costMicroseconds, BurstMicroseconds]);
        return TimeSpan.FromMicroseconds(wait);
    }

    private TimeSpan TakeLocally(string credentialId)
    {
        if (_local.Count >= MaxLocalBuckets)
        {
            _local.Clear();
        }

        var now = time.GetUtcNow();
        var burst = TimeSpan.FromMicroseconds(BurstMicroseconds);
        var wait = TimeSpan.Zero;
        _local.AddOrUpdate(credentialId, _ => now.AddMicroseconds(_costMicroseconds), (_, before) =>
        {
            var full = (before > now ? before : now).AddMicroseconds(_costMicroseconds);
            wait = full - now - burst;
            return wait > TimeSpan.Zero ? before : full;
        });
        return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
    }

    [LoggerMessage(1101, LogLevel.Warning, "Redis does not answer ({Reason}); this instance limits rates by itself.")]
    private static partial void LogRedisAway(ILogger logger, string reason);
}
