namespace CrowNest.Worker.Commands.Output;

/// <summary>The taps of this process by command. Either side may come first: who follows, or the command's output.</summary>
internal sealed class OutputTaps(TimeProvider clock)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, OutputTap> _taps = [];

    /// <summary>Follows a command's output; release the tap when done.</summary>
    /// <exception cref="InvalidOperationException">Someone else does.</exception>
    public OutputTap Follow(string commandId)
    {
        lock (_lock)
        {
            var tap = Get(commandId);
            if (tap.IsFollowed)
            {
                throw new InvalidOperationException($"The output of {commandId} is followed already.");
            }

            tap.IsFollowed = true;
            return tap;
        }
    }

    /// <summary>The tap of an output that is opened now.</summary>
    public OutputTap Bind(string commandId, CommandSpool spool)
    {
        lock (_lock)
        {
            var tap = Get(commandId);
            tap.Bind(spool);
            return tap;
        }
    }

    internal void Release(OutputTap tap)
    {
        lock (_lock)
        {
            tap.IsFollowed = false;
            Drop(tap);
        }

        tap.OnReleased();
    }

    internal void Forget(OutputTap tap)
    {
        lock (_lock)
        {
            Drop(tap);
        }
    }

    private void Drop(OutputTap tap)
    {
        if (tap is { IsFollowed: false, IsBound: false })
        {
            _taps.Remove(tap.CommandId);
        }
    }

    private OutputTap Get(string commandId)
    {
        if (!_taps.TryGetValue(commandId, out var tap))
        {
            tap = new OutputTap(this, commandId, clock);
            _taps.Add(commandId, tap);
        }

        return tap;
    }
}
