using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace CrowNest.Worker.Sandboxes;

/// <summary>
/// Told of every sandbox that a restarted worker finds again, before anyone can reach it through <see cref="LiveSandboxes"/>: the place
/// to carry on with its commands. An exception is logged and does not stop the adoption.
/// </summary>
internal interface IAdoptedSandboxObserver
{
    Task OnAdoptedAsync(LiveSandbox sandbox, CancellationToken cancellationToken);
}

/// <summary>The sandboxes of this worker by id: those that are ready, and those that are ending until they have ended.</summary>
internal sealed class LiveSandboxes
{
    private readonly ConcurrentDictionary<string, LiveSandbox> _byId = new();
    private readonly Channel<string> _suspects = Channel.CreateUnbounded<string>(new() { SingleReader = true });

    public int Count => _byId.Count;

    public IEnumerable<LiveSandbox> All => _byId.Values;

    /// <summary>Ids of sandboxes that may have lost their agent, in the order of the reports.</summary>
    internal ChannelReader<string> Suspects => _suspects.Reader;

    public bool TryGet(string id, [NotNullWhen(true)] out LiveSandbox? sandbox) => _byId.TryGetValue(id, out sandbox);

    /// <summary>Asks for an immediate check: its agent did not answer, or broke a connection.</summary>
    public void Suspect(string id) => _suspects.Writer.TryWrite(id);

    internal void Add(LiveSandbox sandbox)
    {
        if (!_byId.TryAdd(sandbox.Id, sandbox))
        {
            throw new InvalidOperationException($"Sandbox {sandbox.Id} is already here.");
        }
    }

    /// <summary>Takes the sandbox out and fires <see cref="LiveSandbox.Ended"/>; false when it was not here.</summary>
    internal bool Remove(string id)
    {
        if (!_byId.TryRemove(id, out var sandbox))
        {
            return false;
        }

        sandbox.End();
        return true;
    }
}
