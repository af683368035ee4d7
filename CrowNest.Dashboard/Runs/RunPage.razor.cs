using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Commands;
using CrowNest.Dashboard.Components;
using Microsoft.AspNetCore.Components;

namespace CrowNest.Dashboard.Runs;

/// <summary>One workspace run: its facts are asked for, its events are streamed.</summary>
public partial class RunPage : LivePage
{
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);
    private readonly HashSet<string> _gone = new(StringComparer.Ordinal);
    private List<Artifact> _artifacts = [];
    private WorkspaceRun? _run;
    private WorkspaceRunEvidence? _evidence;
    private CrowNestApiException? _evidenceError;
    private RunFollower? _follower;
    private ElementReference _output;

    [Parameter] public string Id { get; set; } = "";

    /// <summary>The cleanup of a canceled run, and its evidence, come after its status.</summary>
    protected override bool IsSettled => _run is null
        ? !Ids.IsValid(Id, Ids.WorkspaceRun)
        : IsFinal && _evidence is { CleanupStatus: not WorkspaceRunCleanup.Pending } && _follower is { HasEnded: true } && !HasUnasked;

    private bool IsFinal => _run is { } run && WorkspaceRunStatus.IsFinal(run.Status);

    private bool HasUnasked => _follower?.Progress.Collected.Any(collected => !_asked.Contains(collected.ArtifactId)) == true;

    private IReadOnlyList<CollectedArtifact> Gone =>
        [.. _follower?.Progress.Collected.Where(collected => _gone.Contains(collected.ArtifactId)) ?? []];

    /// <summary>By what the events tell, which is ahead of what is asked for: output follows the status that allows it.</summary>
    private bool IsBeforeCommand => !IsFinal && (_follower?.Progress.Stages is [.., var last] ? last.Status : _run?.Status)
        is WorkspaceRunStatus.AwaitingArchive or WorkspaceRunStatus.ArchiveUploaded or WorkspaceRunStatus.Starting
            or WorkspaceRunStatus.Extracting;

    private bool WroteNothing => _follower is { HasEnded: true, IsEmpty: true };

    private string FollowText => _follower switch
    {
        null => "",
        { IsInterrupted: true } => "Connection lost; continuing as soon as it is back",
        { HasEnded: true } => "Complete",
        _ when IsBeforeCommand => "",
        _ => "Live",
    };

    /// <inheritdoc/>
    protected override async Task LoadAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(Id, Ids.WorkspaceRun))
            return;
        var id = Id;
        var run = await api.WorkspaceRuns.GetAsync(id, cancellationToken);
        if (id != Id)
            return;
        // What was asked for before the terminal event came must not undo it.
        if (!IsFinal || WorkspaceRunStatus.IsFinal(run.Status))
            _run = run;
        // Whoever sees the run must find its frame rendered.
        StateHasChanged();
        await LearnArtifactsAsync(api, cancellationToken);
        if (run.EvidenceAvailable && _evidence is not { CleanupStatus: not WorkspaceRunCleanup.Pending })
            await ReadEvidenceAsync(api, id, cancellationToken);
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        if (_run is null || _run.Id == Id)
            return;
        (_run, _evidence, _evidenceError, _artifacts) = (null, null, null, []);
        _asked.Clear();
        _gone.Clear();
        await StopFollowingAsync();
        RefreshNow();
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (_run is null || _follower is not null)
            return;
        // The frame stands now, so there is something to write into.
        _follower = new RunFollower(_run.Id, new OutputFrame(Script, _output), Time, OnFollowed, LeaveForSignIn);
        Telemetry.Follow(1);
        await ActAsync(api =>
        {
            _follower.Start(api);
            return Task.CompletedTask;
        });
    }

    /// <inheritdoc/>
    protected override async ValueTask LeaveAsync() => await StopFollowingAsync();

    private async Task StopFollowingAsync()
    {
        if (_follower is null)
            return;
        var follower = _follower;
        _follower = null;
        Telemetry.Follow(-1);
        await follower.DisposeAsync();
    }

    /// <summary>The follower knows something new; the terminal event carries the final run.</summary>
    private void OnFollowed(WorkspaceRun? final) => _ = InvokeAsync(() =>
    {
        if (final is not null && final.Id == Id)
        {
            _run = final;
            RefreshNow();
        }

        StateHasChanged();
    });

    /// <summary>Evidence that cannot be read hides nothing else of the run; it is asked for again.</summary>
    private async Task ReadEvidenceAsync(CrowNestClient api, string id, CancellationToken cancellationToken)
    {
        try
        {
            var evidence = await api.WorkspaceRuns.GetEvidenceAsync(id, cancellationToken);
            if (id == Id)
                (_evidence, _evidenceError) = (evidence, null);
        }
        catch (CrowNestApiException exception) when (exception.IsApiAnswer && !IsSessionOver(exception))
        {
            _evidenceError = exception;
        }
    }

    /// <summary>Each artifact is asked for once: it never changes, it only goes.</summary>
    private async Task LearnArtifactsAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        var (follower, known) = (_follower, _artifacts);
        foreach (var collected in follower?.Progress.Collected.ToArray() ?? [])
        {
            if (_asked.Contains(collected.ArtifactId))
                continue;
            try
            {
                var artifact = await api.Artifacts.GetAsync(collected.ArtifactId, cancellationToken);
                if (follower != _follower)
                    return;
                known.Add(artifact);
            }
            catch (CrowNestApiException exception) when (exception.Code == ErrorCodes.NotFound)
            {
                _gone.Add(collected.ArtifactId);
            }

            _asked.Add(collected.ArtifactId);
        }
    }

    private Task<bool> CancelAsync() => ActAsync(async api =>
    {
        var canceled = await api.WorkspaceRuns.CancelAsync(Id, cancellationToken: Leaving);
        if (canceled.Id == Id)
            _run = canceled;
    });

    private Task DownloadAsync(Artifact artifact) =>
        DownloadAsync(api => api.Artifacts.CreateDownloadUrlAsync(artifact.Id, cancellationToken: Leaving));

    private Task<bool> DeleteAsync(Artifact artifact) => ActAsync(async api =>
    {
        await api.Artifacts.DeleteAsync(artifact.Id, Leaving);
        _artifacts.Remove(artifact);
        _gone.Add(artifact.Id);
    });
}
