using CrowNest.Contracts;

namespace CrowNest.Dashboard.Files;

/// <summary>What the API's refusals of work on files mean to a person.</summary>
internal static class FileProblem
{
    public static string Title(string? code) => code switch
    {
        ErrorCodes.FileNotFound => "It is not there any more",
        ErrorCodes.FileAlreadyExists => "Something with that name is already there",
        ErrorCodes.DirectoryNotEmpty => "The folder is not empty",
        ErrorCodes.ParentDirectoryNotFound => "The folder it should go into does not exist",
        ErrorCodes.PathOutsideWorkspace => "It leads out of the workspace",
        ErrorCodes.PathIsDirectory => "It is a folder",
        ErrorCodes.PathNotDirectory => "It is not a folder",
        ErrorCodes.FileTooLarge => "It is too large",
        ErrorCodes.QuotaExceeded => "There is no room for it",
        ErrorCodes.Forbidden => "It may not be touched",
        ErrorCodes.SandboxDestroyed => "The sandbox has ended",
        ErrorCodes.DownloadExportFailed => "The object store could not do it",
        ErrorCodes.UploadSizeMismatch or ErrorCodes.UploadChecksumMismatch => "It did not arrive whole",
        _ => "That did not work",
    };

    /// <summary>What can be done about it; null when the message says all.</summary>
    public static string? Advice(string? code) => code switch
    {
        ErrorCodes.DirectoryNotEmpty => "Empty it first, or remove it with everything in it by a command: rm -r.",
        ErrorCodes.Forbidden => "Its mode keeps the sandbox's own user out; a command, chmod, can change that.",
        _ => null,
    };
}
