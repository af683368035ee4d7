namespace CrowNest.Worker.Agents;

/// <summary>
/// Bounds each wait for an agent on its own, so that gigabytes may take their time and a silent agent holds nothing for ever. One
/// operation, one wait at a time.
/// </summary>
internal sealed class AgentTimeouts : IDisposable
{
    private readonly CancellationTokenSource _end;
    private readonly CancellationTokenSource _both;

    /// <param name="cancellationToken">Ends the operation for other reasons.</param>
    public AgentTimeouts(TimeProvider clock, CancellationToken cancellationToken)
    {
        _end = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
        _both = CancellationTokenSource.CreateLinkedTokenSource(_end.Token, cancellationToken);
    }

    public CancellationToken Token => _both.Token;

    /// <summary>Whether a wait was too long, which ended the operation.</summary>
    public bool HasRunOut => _end.IsCancellationRequested;

    /// <summary>The agent's next step is due within <paramref name="limit"/>.</summary>
    public void Expect(TimeSpan limit) => _end.CancelAfter(limit);

    /// <summary>It is not the agent's turn.</summary>
    public void Rest() => _end.CancelAfter(Timeout.InfiniteTimeSpan);

    /// <summary>The operation is no longer wanted.</summary>
    public void GiveUp() => _both.Cancel();

    public void Dispose()
    {
        _both.Dispose();
        _end.Dispose();
    }
}
