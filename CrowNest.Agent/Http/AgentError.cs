namespace CrowNest.Agent.Http;

/// <summary>An error of the public contract (api.md 4): HTTP status, code, and a message for people.</summary>
internal sealed record AgentError(int Status, string Code, string Message)
{
    internal static AgentError InvalidRequest(string message) => new(400, "invalid_request", message);

    internal static AgentError NotFound(string message) => new(404, "not_found", message);

    internal static AgentError Conflict(string message) => new(409, "conflict", message);

    internal static AgentError StreamGap(string message) => new(410, "stream_gap", message);

    internal static AgentError QuotaExceeded(string message) => new(429, "quota_exceeded", message);

    internal static AgentError RuntimeError(string message) => new(500, "runtime_error", message);

    internal static AgentError FileNotFound(string path) => new(404, "file_not_found", $"{path} does not exist");

    internal static AgentError PathNotDirectory(string path) => new(400, "path_not_directory", $"{path} is not a directory");

    internal static AgentError PathOutsideWorkspace(string path) => new(400, "path_outside_workspace", $"{path} is outside the workspace");
}

/// <summary>Carries an <see cref="AgentError"/> to the one place that answers it.</summary>
internal sealed class AgentException(AgentError error) : Exception(error.Message)
{
    internal AgentError Error { get; } = error;
}
