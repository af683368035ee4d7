using CrowNest.Contracts;
using CrowNest.Worker.WorkspaceRuns;

namespace CrowNest.Worker;

/// <summary>Settings of a node, section <c>Worker</c>. A wrong one ends the start with a message that names it.</summary>
internal sealed class WorkerOptions
{
    public const string SectionName = "Worker";

    /// <summary>Id of this node, <c>wrk_…</c>; made on the first start and kept in the state folder when not set.</summary>
    public string? Id { get; set; }

    /// <summary>Address of the internal API; default <c>http://127.0.0.1:8789</c>. Loopback unless other machines run the API.</summary>
    public string? ListenUrl { get; set; }

    /// <summary>Where API instances reach <see cref="ListenUrl"/>; default: the same.</summary>
    public string? AdvertisedUrl { get; set; }

    /// <summary>Folder with <c>crownest-agent</c> and <c>crownest-launch</c>; default: <c>agent</c> beside the worker's program.</summary>
    public string? AgentDirectory { get; set; }

    public string EngineSocket { get; set; } = "/var/run/docker.sock";

    /// <summary>Container runtime, for example <c>runsc</c>; null: the engine's default.</summary>
    public string? Runtime { get; set; }

    /// <summary>Warm sandboxes per template slug, kept of the newest version.</summary>
    public Dictionary<string, int> WarmPoolSize { get; set; } = [];

    /// <summary>Containers made at the same time; more than there are cores makes each slower and all of them later.</summary>
    public int RefillConcurrency { get; set; } = Environment.ProcessorCount;

    /// <summary>
    /// Sandboxes that callers may have on this node at once; default: its memory by <see cref="DefaultMemoryMb"/>, three times over,
    /// because few use all they may.
    /// </summary>
    public int? Capacity { get; set; }

    /// <summary>Size of warm sandboxes; another size is a cold start. The API's defaults must be the same ones.</summary>
    public double DefaultCpus { get; set; } = 1;
    public int DefaultMemoryMb { get; set; } = 1024;

    /// <summary>
    /// Hard sizes of the writable folders. They are memory: what they hold counts towards the sandbox's memory, and each of them leaves 64 MiB
    /// of it, or half of a smaller one, for everything else.
    /// </summary>
    public int WorkspaceMb { get; set; } = 1024;
    public int TmpMb { get; set; } = 512;
    public int HomeMb { get; set; } = 512;

    /// <summary>
    /// Files and folders that each of them holds at most. The workspace has room for more than an archive may have entries, or one with too
    /// many would fill it before it could be refused as too large.
    /// </summary>
    public int WorkspaceInodes { get; set; } = 220_000;
    public int TmpInodes { get; set; } = 50_000;
    public int HomeInodes { get; set; } = 200_000;

    /// <summary>Threads and processes of the whole container, the agent's included.</summary>
    public int PidsLimit { get; set; } = 512;

    /// <summary>Threads and processes of the user; at least 96 fewer than <see cref="PidsLimit"/>, or a fork bomb ends the agent.</summary>
    public int MaxProcesses { get; set; } = 400;
    public int MaxOpenFiles { get; set; } = 4096;
    public long MaxFileBytes { get; set; } = 4L * 1024 * 1024 * 1024;

    /// <summary>The user of a sandbox is one of these uids, unique on the node. Template images know 700000 to 700999 by name.</summary>
    public int UidBase { get; set; } = 700_000;
    public int UidCount { get; set; } = 1000;

    /// <summary>A sandbox without work for this long is destroyed; null: never before its deadline.</summary>
    public TimeSpan? IdleAfter { get; set; }

    /// <summary>How long this node counts as alive after its last heartbeat.</summary>
    public int LeaseSeconds { get; set; } = 15;

    /// <summary>Whether <c>internet</c> sandboxes are possible here at all.</summary>
    public bool AllowInternet { get; set; } = true;

    /// <summary>IPv4 range out of which this deployment takes a block for its <c>internet</c> sandboxes.</summary>
    public string Subnet { get; set; } = "10.219.0.0/16";

    /// <summary>IPv4 addresses of the resolvers of <c>internet</c> sandboxes; default: the node's own that are not loopback.</summary>
    public string[] DnsResolvers { get; set; } = [];

    /// <summary>IPv4 ranges that stay unreachable besides the private and special ones, for example the node's own public range.</summary>
    public string[] BlockedRanges { get; set; } = [];

    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromMilliseconds(250);
    public TimeSpan ReapInterval { get; set; } = TimeSpan.FromSeconds(10);
    public TimeSpan TemplateScanInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Workspace runs.</summary>
    public RunOptions Runs { get; set; } = new();

    /// <summary>Warm sandboxes wanted of a template's newest version.</summary>
    public int WarmTarget(string slug) =>
        WarmPoolSize.TryGetValue(slug, out var size) ? size : slug == TemplateSlugs.Default ? 4 : 1;
}
