using CrowNest.Contracts;

namespace CrowNest.Dashboard.Runs;

/// <summary>What a run's events have told so far, but for its output.</summary>
internal sealed class RunProgress
{
    private readonly List<RunStage> _stages = [];
    private readonly List<CollectedArtifact> _collected = [];
    private readonly List<CollectError> _errors = [];

    /// <summary>In the order in which the run went through them; the last one is where it is.</summary>
    public IReadOnlyList<RunStage> Stages => _stages;

    public IReadOnlyList<CollectedArtifact> Collected => _collected;

    public IReadOnlyList<CollectError> Errors => _errors;

    /// <summary>Bytes of the archive that had arrived when it was last told, and its size where that is known.</summary>
    public (long Received, long? Size)? Archive { get; private set; }

    public void Take(WorkspaceRunEvent told)
    {
        switch (told.Type)
        {
            case WorkspaceRunEventType.Status when told.Status is { } status:
                Enter(status, told.CreatedAt, told.Message);
                break;
            case WorkspaceRunEventType.ArchiveProgress when told.ReceivedBytes is { } received:
                Archive = (received, told.SizeBytes);
                break;
            case WorkspaceRunEventType.ArtifactCollected when told.ArtifactId is { } id:
                _collected.Add(new CollectedArtifact(id, told.Path ?? ""));
                break;
            case WorkspaceRunEventType.ArtifactError when told.Error is { } error:
                _errors.Add(error);
                break;
            default:
                break;
        }
    }

    /// <summary>The same status again only says what it waits for.</summary>
    private void Enter(string status, DateTimeOffset at, string? message)
    {
        if (_stages is [.., var last] && last.Status == status)
        {
            _stages[^1] = last with { Message = message };
            return;
        }

        if (_stages.Count > 0)
            _stages[^1] = _stages[^1] with { EndedAt = at };
        _stages.Add(new RunStage(status, at, null, message));
    }
}

/// <summary>A status that a run had, and from when to when.</summary>
/// <param name="EndedAt">null: it is the last one.</param>
/// <param name="Message">What it waits for.</param>
public sealed record RunStage(string Status, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, string? Message);

/// <summary>A file that a run has kept.</summary>
/// <param name="Path">Where it was in the workspace.</param>
public sealed record CollectedArtifact(string ArtifactId, string Path);
