using System.Collections.Frozen;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Agents;
using CrowNest.Worker.Http;
using CrowNest.Worker.Sandboxes;
using Npgsql;

namespace CrowNest.Worker.Files;

/// <summary>
/// What callers are told when an agent refuses or fails. An agent's answer is a sandbox's word: only codes of section 2.4 pass, each with
/// the status that the contract gives it, and the text without whatever could disturb a terminal or a log.
/// </summary>
internal sealed class AgentFailures(LiveSandboxes live, SandboxStore sandboxes)
{
    private const int MaxMessageLength = 500;

    private static readonly FrozenDictionary<string, int> Statuses = new Dictionary<string, int>
    {
        [ErrorCodes.InvalidRequest] = StatusCodes.Status400BadRequest,
        [ErrorCodes.PathOutsideWorkspace] = StatusCodes.Status400BadRequest,
        [ErrorCodes.PathIsDirectory] = StatusCodes.Status400BadRequest,
        [ErrorCodes.PathNotDirectory] = StatusCodes.Status400BadRequest,
        [ErrorCodes.UploadChecksumMismatch] = StatusCodes.Status400BadRequest,
        [ErrorCodes.ArchiveInvalid] = StatusCodes.Status400BadRequest,
        [ErrorCodes.Forbidden] = StatusCodes.Status403Forbidden,
        [ErrorCodes.FileNotFound] = StatusCodes.Status404NotFound,
        [ErrorCodes.ParentDirectoryNotFound] = StatusCodes.Status404NotFound,
        [ErrorCodes.Conflict] = StatusCodes.Status409Conflict,
        [ErrorCodes.FileAlreadyExists] = StatusCodes.Status409Conflict,
        [ErrorCodes.DirectoryNotEmpty] = StatusCodes.Status409Conflict,
        [ErrorCodes.FileTooLarge] = StatusCodes.Status413PayloadTooLarge,
        [ErrorCodes.ArchiveTooLarge] = StatusCodes.Status413PayloadTooLarge,
        [ErrorCodes.QuotaExceeded] = StatusCodes.Status429TooManyRequests,
        [ErrorCodes.RuntimeError] = StatusCodes.Status500InternalServerError,
    }.ToFrozenDictionary();

    public static WorkerException Gone(string sandboxId, Exception? inner = null) => new(
        StatusCodes.Status410Gone, ErrorCodes.SandboxDestroyed, $"Sandbox {sandboxId} has ended.", inner);

    public static WorkerException Refused(AgentErrorException refusal) => Statuses.TryGetValue(refusal.Code, out var status)
        ? new WorkerException(status, refusal.Code, Clean(refusal.Message), refusal)
        : WorkerException.Runtime("The sandbox could not do it.", refusal);

    /// <summary>The agent is lost: its sandbox is checked, and when that is ending, the answer says so.</summary>
    public async Task<WorkerException> LostAsync(LiveSandbox sandbox, AgentUnavailableException failure)
    {
        if (sandbox.Ended.IsCancellationRequested)
        {
            return Gone(sandbox.Id, failure);
        }

        live.Suspect(sandbox.Id);
        try
        {
            return await sandboxes.FindAsync(sandbox.Id, CancellationToken.None) is { State: not SandboxStatus.Ready }
                ? Gone(sandbox.Id, failure)
                : WorkerException.Runtime("The sandbox does not answer.", failure);
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            return WorkerException.Runtime("The sandbox does not answer.", failure);
        }
    }

    private static string Clean(string message)
    {
        var text = message.Length <= MaxMessageLength ? message : message[..MaxMessageLength];
        return string.Create(text.Length, text, static (clean, text) =>
        {
            for (var i = 0; i < text.Length; i++)
            {
                clean[i] = char.IsControl(text[i]) || char.IsSurrogate(text[i]) ? '\uFFFD' : text[i];
            }
        });
    }
}
