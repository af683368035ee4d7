using System.Collections.Concurrent;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Storage;
using Npgsql;
using StackExchange.Redis;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// What is left to do once a command's row is final: the rest of its output and the mark of the end to Redis, its log to the object
/// store, and then away with the spool. Each is tried until it succeeds, also by the next process; what cannot succeed is left to that one.
/// </summary>
internal sealed partial class LogArchiver(
    CommandLogWriter writer, IObjectStore objects, CommandStore commands, SpoolFolder spools, WorkerRetries retries,
    TimeProvider clock, ILogger<LogArchiver> logger) : IDisposable
{
    /// <summary>Logs written to the object store at once; each is held in memory meanwhile.</summary>
    private const int ConcurrentUploads = 2;

    /// <summary>Once the log is stored, followers find the end without Redis: it is not waited for longer than this.</summary>
    private static readonly TimeSpan PublishPatience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Task> _keeping = new();
    private readonly SemaphoreSlim _uploads = new(ConcurrentUploads);

    /// <summary>Logs that the database does not let this process record; their spools are left to the next one.</summary>
    private readonly ConcurrentDictionary<string, bool> _left = new();

    /// <summary>Whether this process is at work on the log of that command, or has given it up.</summary>
    public bool IsKeeping(string commandId) => _keeping.ContainsKey(commandId) || _left.ContainsKey(commandId);

    /// <summary>Takes a final command's output over; it is disposed when all is done, or this process stops.</summary>
    public void Keep(CommandRow final, CommandOutput output, CancellationToken stopping)
    {
        output.Tap.Complete();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var isFirst = _keeping.TryAdd(final.Id, done.Task);
        _ = Task.Run(
            async () =>
            {
                await using (output)
                {
                    if (isFirst)
                    {
                        await KeepAsync(final, output, stopping);
                    }
                }

                if (isFirst)
                {
                    _keeping.TryRemove(final.Id, out var _);
                    done.SetResult();
                }
            },
            CancellationToken.None);
    }

    public void Dispose() => _uploads.Dispose();

    /// <summary>Completes when this process no longer touches a spool.</summary>
    public Task WhenIdleAsync() => Task.WhenAll(_keeping.Values);

    private async Task KeepAsync(CommandRow final, CommandOutput output, CancellationToken stopping)
    {
        try
        {
            if (output.Spool.LastSeq == 0)
            {
                await MarkEmptyAsync(final.Id);
                output.Spool.Delete();
                return;
            }

            var published = PublishAsync(final, output, stopping);
            if (final.LogObjectKey is null)
            {
                await StoreAsync(final, stopping);
            }

            await Task.WhenAny(published, Task.Delay(PublishPatience, clock, stopping));
            stopping.ThrowIfCancellationRequested();
            await ExpireAsync(final.Id);
            await output.Tap.WhenReleasedAsync(stopping);
            // Who comes from now on finds no spool, and reads the stored log.
            output.Tap.Unbind(output.Spool);
            output.Spool.Delete();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The spool stays for the next process.
        }
        catch (Exception exception)
        {
            LogNotKept(exception, final.Id);
            if (exception is PostgresException)
            {
                _left[final.Id] = true;
            }
        }
    }

    private async Task MarkEmptyAsync(string commandId)
    {
        try
        {
            await writer.EndAsync(commandId, 0, CommandLogWriter.Linger);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            // A follower finds the end in the row, a little later.
            LogNotMarked(exception, commandId);
        }
    }

    private async Task PublishAsync(CommandRow final, CommandOutput output, CancellationToken stopping)
    {
        try
        {
            await retries.PublishAsync(
                $"Publishing the end of the log of {final.Id}",
                async token =>
                {
                    await output.Publisher.CompleteAsync().WaitAsync(token);
                    await writer.EndAsync(final.Id, output.Spool.LastSeq, null);
                },
                stopping);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or InvalidDataException)
        {
            // Stopping, or given up because the log is stored.
        }
    }

    private async Task StoreAsync(CommandRow final, CancellationToken stopping)
    {
        var key = ObjectKey.CommandLog(final.OrgId, final.Id);
        await retries.WriteAsync($"Recording the stored log of {final.Id}", StoreAndRecordAsync, stopping);
        CommandMetrics.LogUploads.Add(1, new KeyValuePair<string, object?>("outcome", "stored"));

        async Task<bool> StoreAndRecordAsync(CancellationToken token)
        {
            await retries.StoreAsync($"Storing the log of {final.Id}", PutOnceAsync, token);
            await commands.SaveLogObjectAsync(final.Id, key, token);
            return true;
        }

        async Task<bool> PutOnceAsync(CancellationToken token)
        {
            try
            {
                await PutAsync(final.Id, key, token);
                return true;
            }
            catch (ObjectStoreException)
            {
                CommandMetrics.LogUploads.Add(1, new KeyValuePair<string, object?>("outcome", "failed"));
                throw;
            }
        }
    }

    private async Task PutAsync(string commandId, string key, CancellationToken stopping)
    {
        await _uploads.WaitAsync(stopping);
        try
        {
            // Opened anew: the publisher may be at work on the other one, and may wait for Redis much longer.
            using var spool = CommandSpool.Open(spools.PathOf(commandId), new OutputCapture());
            using var log = new MemoryStream(spool.ToLogObject(), writable: false);
            await objects.PutAsync(key, log, log.Length, stopping);
        }
        finally
        {
            _uploads.Release();
        }
    }

    private async Task ExpireAsync(string commandId)
    {
        try
        {
            await writer.ExpireAsync(commandId, CommandLogWriter.Linger);
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException)
        {
            // Redis has most likely lost the stream by itself.
            LogNotMarked(exception, commandId);
        }
    }

    [LoggerMessage(6131, LogLevel.Warning, "The end of the log of {CommandId} could not be published")]
    private partial void LogNotMarked(Exception exception, string commandId);

    [LoggerMessage(6133, LogLevel.Error, "The log of {CommandId} is left in the spool")]
    private partial void LogNotKept(Exception exception, string commandId);
}
