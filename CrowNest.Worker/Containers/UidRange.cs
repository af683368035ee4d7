using System.Security.Cryptography;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Containers;

/// <summary>
/// The uids of sandboxes. <c>RLIMIT_NPROC</c> counts per uid on the whole node, so no two sandboxes may share one; other deployments on the
/// same engine take from the same range and are told of by <see cref="SetForeign"/>. Chosen at random: two deployments that start at the
/// same moment hardly meet, and a uid is not used again soon.
/// </summary>
internal sealed class UidRange(IOptions<WorkerOptions> options)
{
    private readonly Lock _lock = new();
    private readonly HashSet<int> _own = [];
    private HashSet<int> _foreign = [];

    /// <exception cref="InvalidOperationException">All are in use.</exception>
    public int Take()
    {
        var (first, count) = (options.Value.UidBase, options.Value.UidCount);
        lock (_lock)
        {
            var start = RandomNumberGenerator.GetInt32(count);
            for (var i = 0; i < count; i++)
            {
                var uid = first + ((start + i) % count);
                if (!_foreign.Contains(uid) && _own.Add(uid))
                {
                    return uid;
                }
            }
        }

        throw new InvalidOperationException($"All {count} uids from {first} on are in use by sandboxes of this node.");
    }

    /// <summary>Takes the uid of a container that was found.</summary>
    public void Adopt(int uid)
    {
        lock (_lock)
        {
            _own.Add(uid);
        }
    }

    public void Release(int uid)
    {
        lock (_lock)
        {
            _own.Remove(uid);
        }
    }

    /// <summary>What the engine's other containers use.</summary>
    public void SetForeign(IEnumerable<int> uids)
    {
        lock (_lock)
        {
            _foreign = [.. uids];
        }
    }
}
