using CrowNest.Contracts;

namespace CrowNest.Api.WorkspaceRuns;

/// <summary>Events that the API tells (docs/reference/api.md 10.8); their row assigns <c>seq</c>.</summary>
internal static class RunEventFactory
{
    /// <param name="message">What is waited for; an addition of this system.</param>
    public static WorkspaceRunEvent Status(string status, DateTimeOffset at, string? message = null) =>
        new() { Type = WorkspaceRunEventType.Status, Seq = 0, CreatedAt = at, Status = status, Message = message };

    public static WorkspaceRunEvent Progress(long receivedBytes, long sizeBytes, DateTimeOffset at) => new()
    {
        Type = WorkspaceRunEventType.ArchiveProgress,
        Seq = 0,
        CreatedAt = at,
        ReceivedBytes = receivedBytes,
        SizeBytes = sizeBytes,
    };
}
