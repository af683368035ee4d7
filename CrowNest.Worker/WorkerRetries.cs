using CrowNest.Contracts;
using CrowNest.Platform.Storage;
using CrowNest.Worker.Http;
using Npgsql;
using Polly;
using Polly.Retry;
using StackExchange.Redis;

namespace CrowNest.Worker;

/// <summary>
/// How the worker repeats what another may keep from succeeding: four pipelines, each with its own patience. Attempts are spread by jitter
/// and come after bounded pauses; what would fail again for good is not repeated. Periodic work has timers instead, and the path of a
/// command's output its own waits.
/// </summary>
internal sealed partial class WorkerRetries
{
    /// <summary>The first and every tenth: someone who looks on sees what is waited for.</summary>
    private const int LogEvery = 10;

    private static readonly ResiliencePropertyKey<DateTimeOffset> GiveUpAt = new("crownest.give-up-at");
    private static readonly ResiliencePropertyKey<Func<Exception, Task>> Tell = new("crownest.tell");

    private readonly TimeProvider _clock;
    private readonly ILogger<WorkerRetries> _logger;
    private readonly ResiliencePipeline _peers;
    private readonly ResiliencePipeline _database;
    private readonly ResiliencePipeline _storage;
    private readonly ResiliencePipeline _streams;

    public WorkerRetries(TimeProvider clock, ILogger<WorkerRetries> logger)
    {
        _clock = clock;
        _logger = logger;
        // Whatever is wrong with a peer, somebody can put it right while the worker waits.
        _peers = Build(DelayBackoffType.Constant, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), static _ => true);
        _database = Build(DelayBackoffType.Exponential, TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(2), IsDatabaseAway);
        _storage = Build(
            DelayBackoffType.Exponential, TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(5),
            static failure => failure
                is ObjectStoreException { IsDamaged: false } or WorkerException { Code: ErrorCodes.DownloadExportFailed });
        _streams = Build(
            DelayBackoffType.Exponential, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30),
            static failure => failure is RedisException or TimeoutException);
    }

    /// <summary>
    /// The database does not answer now. What it refuses for good is something else: a value that it cannot hold, a broken rule, a wrong
    /// statement, a missing right or table (PostgreSQL's error classes 0A, 21, 22, 23, 42, 44, 54 and P0).
    /// </summary>
    public static bool IsDatabaseAway(Exception failure) => failure switch
    {
        PostgresException refusal => refusal.IsTransient || refusal.SqlState is not (
            ['0', 'A', ..] or ['2', '1' or '2' or '3', ..] or ['4', '2' or '4', ..] or ['5', '4', ..] or ['P', '0', ..]),
        NpgsqlException or TimeoutException or NotYetException => true,
        _ => false,
    };

    /// <summary>Until the peer is there, every second, for ever.</summary>
    public Task WaitForAsync(string what, Func<CancellationToken, Task> attempt, CancellationToken cancellationToken) =>
        RunAsync(_peers, what, attempt, cancellationToken);

    /// <summary>
    /// Until the database answers, with pauses of up to 2 s, or until <paramref name="giveUpAt"/>. A refusal is thrown at once
    /// (<see cref="IsDatabaseAway"/>).
    /// </summary>
    public Task<T> WriteAsync<T>(
        string what, Func<CancellationToken, Task<T>> write, CancellationToken cancellationToken, DateTimeOffset? giveUpAt = null) =>
        RunAsync(_database, what, giveUpAt, tell: null, write, cancellationToken);

    /// <summary>
    /// Until the object store answers, with pauses of up to 5 s, or until <paramref name="giveUpAt"/>. A damaged object is thrown at once.
    /// </summary>
    /// <param name="tell">Runs before each pause.</param>
    public Task<T> StoreAsync<T>(
        string what, Func<CancellationToken, Task<T>> store, CancellationToken cancellationToken, DateTimeOffset? giveUpAt = null,
        Func<Exception, Task>? tell = null) =>
        RunAsync(_storage, what, giveUpAt, tell, store, cancellationToken);

    /// <summary>Until Redis answers, with pauses of up to 30 s.</summary>
    public Task PublishAsync(string what, Func<CancellationToken, Task> publish, CancellationToken cancellationToken) =>
        RunAsync(_streams, what, publish, cancellationToken);

    private static async Task RunAsync(
        ResiliencePipeline pipeline, string what, Func<CancellationToken, Task> attempt, CancellationToken cancellationToken) =>
        await RunAsync(
            pipeline, what, giveUpAt: null, tell: null,
            async token =>
            {
                await attempt(token);
                return true;
            },
            cancellationToken);

    private static async Task<T> RunAsync<T>(
        ResiliencePipeline pipeline, string what, DateTimeOffset? giveUpAt, Func<Exception, Task>? tell,
        Func<CancellationToken, Task<T>> attempt, CancellationToken cancellationToken)
    {
        var context = ResilienceContextPool.Shared.Get(what, cancellationToken);
        try
        {
            context.Properties.Set(GiveUpAt, giveUpAt ?? DateTimeOffset.MaxValue);
            if (tell is not null)
            {
                context.Properties.Set(Tell, tell);
            }

            return await pipeline.ExecuteAsync(
                static async (inner, state) => await state(inner.CancellationToken), context, attempt);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private ResiliencePipeline Build(DelayBackoffType backoff, TimeSpan first, TimeSpan longest, Func<Exception, bool> isTemporary)
    {
        var options = new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue,
            BackoffType = backoff,
            Delay = first,
            MaxDelay = longest,
            UseJitter = true,
            ShouldHandle = failed => ValueTask.FromResult(
                failed.Outcome.Exception is { } exception && isTemporary(exception)
                && !(exception is OperationCanceledException && failed.Context.CancellationToken.IsCancellationRequested)
                && _clock.GetUtcNow() < failed.Context.Properties.GetValue(GiveUpAt, DateTimeOffset.MaxValue)),
            OnRetry = async failed =>
            {
                // That something is not there yet is no failure before it takes long.
                if (failed.AttemptNumber % LogEvery == (failed.Outcome.Exception is NotYetException ? LogEvery - 1 : 0))
                {
                    LogRepeated(failed.Outcome.Exception, failed.Context.OperationKey!, failed.AttemptNumber + 1, failed.RetryDelay);
                }

                if (failed.Context.Properties.TryGetValue(Tell, out var tell))
                {
                    await tell(failed.Outcome.Exception!);
                }
            },
        };
        return new ResiliencePipelineBuilder { TimeProvider = _clock }.AddRetry(options).Build();
    }

    [LoggerMessage(5501, LogLevel.Warning, "{What}: attempt {Attempt} failed, the next one comes in {Pause}")]
    private partial void LogRepeated(Exception? exception, string what, int attempt, TimeSpan pause);
}

/// <summary>What was to be found is not there yet; <see cref="WorkerRetries.WriteAsync"/> looks again.</summary>
internal sealed class NotYetException(string message) : Exception(message);
