namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>The run ends as failed.</summary>
/// <param name="reason">One of <see cref="Contracts.WorkspaceRunFailure"/>.</param>
/// <param name="message">For people; no host path, no stack trace.</param>
internal sealed class RunFailedException(string reason, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Reason => reason;
}

/// <summary>A conditional change found the run moved on: it was canceled, or is another worker's. Its row tells.</summary>
internal sealed class RunMovedException(string runId) : Exception($"Run {runId} is not what it was.");
