namespace CrowNest.Agent.Http;

/// <summary>An error of the public contract (docs/reference/api.md 4): HTTP status, code, and a message for people.</summary>
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

    internal static AgentError PathIsDirectory(string path) => new(400, "path_is_directory", $"{path} is a directory");

    internal static AgentError ParentDirectoryNotFound(string path) =>
        new(404, "parent_directory_not_found", $"the directory that should hold {path} does not exist");

    internal static AgentError FileAlreadyExists(string path) => new(409, "file_already_exists", $"{path} exists");

    internal static AgentError DirectoryNotEmpty(string path) => new(409, "directory_not_empty", $"{path} is not empty");

    internal static AgentError FileTooLarge(string message) => new(413, "file_too_large", message);

    internal static AgentError Forbidden(string message) => new(403, "forbidden", message);

    internal static AgentError UploadChecksumMismatch(string message) => new(400, "upload_checksum_mismatch", message);

    internal static AgentError ArchiveInvalid(string message) => new(400, "archive_invalid", message);

    internal static AgentError ArchiveTooLarge(string message) => new(413, "archive_too_large", message);

    internal static AgentError PathOutsideWorkspace(string path) => new(400, "path_outside_workspace", $"{path} is outside the workspace");
}

/// <summary>Carries an <see cref="AgentError"/> to the one place that answers it.</summary>
internal sealed class AgentException(AgentError error) : Exception(error.Message)
{
    internal AgentError Error { get; } = error;
}
