namespace CrowNest.Worker.WorkspaceRuns;

/// <summary>Settings of workspace runs on this node, section <c>Worker:Runs</c>.</summary>
internal sealed class RunOptions
{
    /// <summary>Runs that this node carries at once; most of them may wait for their organization's ceiling.</summary>
    public int MaxCarried { get; set; } = 500;

    /// <summary>How long after its start a run may wait for a sandbox before it fails with <c>sandbox_unavailable</c>.</summary>
    public TimeSpan SandboxWait { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Lifetime of a run's own sandbox beyond the command's time limit: for extraction, collection, evidence.</summary>
    public TimeSpan SandboxMargin { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>How long one extraction may take.</summary>
    public TimeSpan ExtractionLimit { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>How long an object store that is away is tried again for archive, output and artifacts; for evidence it is for ever.</summary>
    public TimeSpan StoragePatience { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Output of the command that becomes events, in bytes; the rest is in the command's log only.</summary>
    public long RetainedOutputBytes { get; set; } = 32L * 1024 * 1024;

    /// <summary>How often the database is asked for runs that nobody carries, in case Redis has lost them.</summary>
    public TimeSpan ClaimInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How soon a cancel is noticed without Redis.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>What is wrong with them.</summary>
    public IEnumerable<string> Faults()
    {
        if (MaxCarried < 1)
        {
            yield return "MaxCarried must be at least 1";
        }

        if (RetainedOutputBytes < 0)
        {
            yield return "RetainedOutputBytes must not be negative";
        }

        TimeSpan[] times = [SandboxWait, SandboxMargin, ExtractionLimit, StoragePatience, ClaimInterval, PollInterval];
        if (times.Any(t => t <= TimeSpan.Zero))
        {
            yield return "the times must be positive";
        }
    }
}
