using CrowNest.Contracts;

namespace CrowNest.Worker.Http;

/// <summary>Ends a request with an error of the public contract; the API passes it on.</summary>
internal sealed class WorkerException(int status, string code, string message, Exception? inner = null) : Exception(message, inner)
{
    public int Status => status;
    public string Code => code;

    public static WorkerException Full(int capacity) => new(
        StatusCodes.Status429TooManyRequests, ErrorCodes.QuotaExceeded, $"This node is full: it takes {capacity} sandboxes at once.");

    public static WorkerException Runtime(string message, Exception? inner = null) => new(
        StatusCodes.Status500InternalServerError, ErrorCodes.RuntimeError, message, inner);

    public static WorkerException Conflict(string message) => new(StatusCodes.Status409Conflict, ErrorCodes.Conflict, message);

    public static WorkerException NotFound(string message) => new(StatusCodes.Status404NotFound, ErrorCodes.NotFound, message);

    /// <summary>The object store did not do its part (docs/protocols.md 3).</summary>
    public static WorkerException Storage(string message, Exception? inner = null) => new(
        StatusCodes.Status502BadGateway, ErrorCodes.DownloadExportFailed, message, inner);
}
