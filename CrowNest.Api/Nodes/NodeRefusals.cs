using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;

namespace CrowNest.Api.Nodes;

/// <summary>What a node's refusal of work on files is for the caller (docs/protocols.md 2.4, 3; docs/reference/api.md 6, 7).</summary>
internal static class NodeRefusals
{
    /// <summary>Codes that mean for the caller what they mean for the node. Anything else is a matter between the two.</summary>
    private static readonly HashSet<string> Public =
    [
        ErrorCodes.InvalidRequest, ErrorCodes.FileNotFound, ErrorCodes.ParentDirectoryNotFound, ErrorCodes.PathIsDirectory,
        ErrorCodes.PathNotDirectory, ErrorCodes.PathOutsideWorkspace, ErrorCodes.FileAlreadyExists, ErrorCodes.DirectoryNotEmpty,
        ErrorCodes.FileTooLarge, ErrorCodes.UploadChecksumMismatch, ErrorCodes.Forbidden, ErrorCodes.DownloadExportFailed,
        ErrorCodes.RuntimeError,
    ];

    public static ApiException ToApiException(WorkerRefusedException refusal) => refusal.Code switch
    {
        ErrorCodes.ArchiveInvalid => new ApiException(ErrorCodes.InvalidRequest, refusal.Message,
            new JsonObject { ["reason"] = ErrorCodes.ArchiveInvalid }),
        ErrorCodes.ArchiveTooLarge => new ApiException(ErrorCodes.FileTooLarge, refusal.Message,
            new JsonObject { ["reason"] = ErrorCodes.ArchiveTooLarge }),
        ErrorCodes.QuotaExceeded => new ApiException(ErrorCodes.QuotaExceeded, refusal.Message,
            Details(refusal) ?? new JsonObject { ["quota"] = "workspace_bytes" }),
        ErrorCodes.SandboxDestroyed => SandboxReadiness.Gone(SandboxStatus.Expiring),
        var code when Public.Contains(code) => new ApiException(code, refusal.Message, Details(refusal)),
        _ => new ApiException(ErrorCodes.RuntimeError, $"The sandbox's node could not do it: {refusal.Message}"),
    };

    private static JsonObject? Details(WorkerRefusedException refusal) => (JsonObject?)refusal.Details?.DeepClone();
}
