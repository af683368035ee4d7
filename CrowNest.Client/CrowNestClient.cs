namespace CrowNest.Client;

/// <summary>
/// Client of one CrowNest API with one credential. Safe for concurrent use. Plain requests are never repeated; only streams reconnect.
/// Every call that fails throws <see cref="CrowNestApiException"/>.
/// </summary>
public sealed class CrowNestClient
{
    /// <summary>The longest blocking command takes 600 s; its answer must still arrive.</summary>
    private static readonly TimeSpan OwnTimeout = TimeSpan.FromSeconds(660);

    /// <summary>A client with an <see cref="HttpClient"/> of its own. Uploads and downloads take as long as they take.</summary>
    /// <exception cref="ArgumentException">No credential, or a base URL that is none.</exception>
    public CrowNestClient(CrowNestClientOptions? options = null)
        : this(new HttpClient { Timeout = Timeout.InfiniteTimeSpan }, options ?? new CrowNestClientOptions(), OwnTimeout)
    {
    }

    /// <summary>A client over a shared <see cref="HttpClient"/>, whose timeout applies (streams: until their headers).</summary>
    /// <exception cref="ArgumentException">No credential, or a base URL that is none.</exception>
    public CrowNestClient(HttpClient http, CrowNestClientOptions options)
        : this(http, options, Timeout.InfiniteTimeSpan)
    {
    }

    private CrowNestClient(HttpClient http, CrowNestClientOptions options, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(http);
        ArgumentNullException.ThrowIfNull(options);
        var baseUrl = options.ResolveBaseUrl(Environment.GetEnvironmentVariable);
        var transport = new Transport(http, baseUrl, options.ResolveCredential(Environment.GetEnvironmentVariable), timeout);
        BaseUrl = baseUrl;
        Sandboxes = new SandboxesClient(transport);
        Commands = new CommandsClient(transport, options);
        Files = new FilesClient(transport);
        Artifacts = new ArtifactsClient(transport);
        AgentSessions = new AgentSessionsClient(transport);
        Projects = new ProjectsClient(transport);
        Templates = new TemplatesClient(transport);
        WorkspaceRuns = new WorkspaceRunsClient(transport, options);
    }

    /// <summary>The API's address, ending in a slash.</summary>
    public Uri BaseUrl { get; }

    public SandboxesClient Sandboxes { get; }

    public CommandsClient Commands { get; }

    public FilesClient Files { get; }

    public ArtifactsClient Artifacts { get; }

    public AgentSessionsClient AgentSessions { get; }

    public ProjectsClient Projects { get; }

    public TemplatesClient Templates { get; }

    public WorkspaceRunsClient WorkspaceRuns { get; }
}
