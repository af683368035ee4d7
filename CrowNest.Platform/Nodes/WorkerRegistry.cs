using System.Text.Json;
using CrowNest.Platform.Redis;
using StackExchange.Redis;

namespace CrowNest.Platform.Nodes;

/// <summary>
/// What workers tell of themselves, in Redis: stock and load, which only help to choose. Whether a worker lives is the lease's matter
/// (<see cref="WorkerStore"/>).
/// </summary>
public sealed class WorkerRegistry(RedisConnection redis)
{
    public async Task PublishAsync(WorkerSnapshot snapshot, TimeSpan expiry)
    {
        var database = await redis.GetDatabaseAsync();
        await database.StringSetAsync(Key(snapshot.WorkerId), JsonSerializer.SerializeToUtf8Bytes(snapshot, JsonSerializerOptions.Web), expiry);
    }

    /// <summary>The worker stops: nobody should choose it any more.</summary>
    public async Task RemoveAsync(string workerId)
    {
        var database = await redis.GetDatabaseAsync();
        await database.KeyDeleteAsync(Key(workerId));
    }

    /// <summary>The snapshots of those workers that have one.</summary>
    public async Task<IReadOnlyList<WorkerSnapshot>> ReadAsync(IReadOnlyCollection<string> workerIds)
    {
        if (workerIds.Count == 0)
        {
            return [];
        }

        var database = await redis.GetDatabaseAsync();
        var values = await database.StringGetAsync([.. workerIds.Select(id => (RedisKey)Key(id))]);
        return [.. values.Where(v => v.HasValue).Select(v => JsonSerializer.Deserialize<WorkerSnapshot>((byte[])v!, JsonSerializerOptions.Web)!)];
    }

    private static string Key(string workerId) => $"crownest:worker:{workerId}";
}
