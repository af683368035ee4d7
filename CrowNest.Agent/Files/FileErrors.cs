using CrowNest.Agent.Http;
using CrowNest.Agent.Processes;

namespace CrowNest.Agent.Files;

/// <summary>What an errno means to the caller (docs/protocols.md 2.4).</summary>
internal static class FileErrors
{
    /// <summary>The error for a call on <paramref name="path"/> itself. <paramref name="result"/> is a negative errno.</summary>
    internal static AgentException Of(int result, string path) => new(-result switch
    {
        FileCalls.ENOENT or FileCalls.ENOTDIR or FileCalls.ESTALE => AgentError.FileNotFound(path),
        // A loop leads nowhere inside: the listing shows it as a file of its own, and operations answer as for any such link
        // (docs/reference/api.md 6).
        FileCalls.EXDEV or FileCalls.ELOOP => AgentError.PathOutsideWorkspace(path),
        FileCalls.EACCES or FileCalls.EPERM => AgentError.Forbidden($"the mode of {path} does not allow this"),
        FileCalls.EEXIST => AgentError.FileAlreadyExists(path),
        FileCalls.ENOTEMPTY => AgentError.DirectoryNotEmpty(path),
        FileCalls.EISDIR => AgentError.PathIsDirectory(path),
        FileCalls.ENOSPC or FileCalls.EDQUOT or FileCalls.EMLINK => AgentError.QuotaExceeded("the workspace is full"),
        FileCalls.EFBIG => AgentError.FileTooLarge($"{path} would be too large"),
        FileCalls.ENAMETOOLONG => AgentError.InvalidRequest($"{path} is too long"),
        FileCalls.EINVAL => AgentError.InvalidRequest($"{path} is not something this can be done with"),
        FileCalls.EAGAIN or FileCalls.EBUSY => AgentError.Conflict($"{path} is held by another process"),
        _ => AgentError.RuntimeError(Libc.Failure(path, -result).Message),
    });

    /// <summary>The error when the directory that shall hold <paramref name="path"/> could not be opened.</summary>
    internal static AgentException OfParent(int result, string path) => -result switch
    {
        FileCalls.ENOENT => new(AgentError.ParentDirectoryNotFound(path)),
        FileCalls.ENOTDIR => new(AgentError.PathNotDirectory(Path.GetDirectoryName(path) ?? "/")),
        _ => Of(result, path),
    };

    internal static AgentException Special(string path) => new(AgentError.InvalidRequest($"{path} is not a regular file"));
}
