namespace CrowNest.Worker.Agents;

/// <summary>The agent refused: an error answer with a code of the public contract (docs/protocols.md 2).</summary>
internal sealed class AgentErrorException(int status, string code, string message) : Exception(message)
{
    public int Status { get; } = status;
    public string Code { get; } = code;
}

/// <summary>
/// There is no agent to speak to: the path is no socket, nobody answers, the connection broke, or the answer is not the protocol. The
/// sandbox is suspect, not the request.
/// </summary>
internal sealed class AgentUnavailableException : Exception
{
    public AgentUnavailableException(string message)
        : base(message)
    {
    }

    public AgentUnavailableException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>It answered, but what it said breaks the protocol: trying again will hardly help.</summary>
    public bool BrokeProtocol { get; init; }
}
