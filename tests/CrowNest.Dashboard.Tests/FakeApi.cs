using System.Collections.Concurrent;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace CrowNest.Dashboard.Tests;

/// <summary>
/// The public API's contract, as far as the dashboard speaks it, on a real Kestrel server: rows in memory, output that arrives when the
/// test says so, and every kind of bad day on demand.
/// </summary>
internal sealed partial class FakeApi : IAsyncDisposable
{
    public const string Secret = "a-deployment-secret-of-at-least-32-characters";

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, string> _sessions = new();
    private readonly ConcurrentDictionary<string, string> _links = new();

    private readonly ContractCheck _check;

    private FakeApi(WebApplication app, ContractCheck check) => (_app, _check) = (app, check);

    public string Url => _app.Urls.Single();

    public ConcurrentDictionary<string, OwnedSandbox> Sandboxes { get; } = new();

    public ConcurrentDictionary<string, FakeCommand> Commands { get; } = new();

    /// <summary>Method, path and query, and owner of every call that carried a session.</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>While true every connection is dropped without an answer.</summary>
    public bool IsAway { get; set; }

    /// <summary>The next create is refused with this.</summary>
    public ErrorBody? RefuseCreate { get; set; }

    /// <summary>What was said here that the API's document does not have.</summary>
    public IReadOnlyCollection<string> ContractFaults => _check.Faults;

    public IEnumerable<(string Method, string Route)> Routes => _app.Services.GetRequiredService<EndpointDataSource>().Endpoints
        .OfType<RouteEndpoint>().SelectMany(e => e.Metadata.GetRequiredMetadata<IHttpMethodMetadata>().HttpMethods
            .Select(m => (m, e.RoutePattern.RawText!.TrimEnd('/'))));

    public int Redemptions { get; private set; }

    public static async Task<FakeApi> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.ConfigureHttpJsonOptions(options => CrowNestJson.Configure(options.SerializerOptions));
        var app = builder.Build();
        var api = new FakeApi(app, new ContractCheck(await ApiContract.Current));
        app.Use(async (context, next) =>
        {
            if (api.IsAway)
                context.Abort();
            else
                await api._check.InvokeAsync(context, () => next(context));
        });
        api.Map(app);
        await app.StartAsync();
        return api;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>A one-time link's token for a person.</summary>
    public string NewLink(string user)
    {
        var token = Ids.New("lnk");
        _links[token] = user;
        return token;
    }

    public bool IsLinkUnused(string token) => _links.ContainsKey(token);

    /// <summary>A session's token, without the link.</summary>
    public string NewSession(string user)
    {
        var token = Ids.New("ses");
        _sessions[token] = user;
        return token;
    }

    public int SessionsOf(string user) => _sessions.Values.Count(owner => owner == user);

    public void EndSessionsOf(string user)
    {
        foreach (var (token, owner) in _sessions)
        {
            if (owner == user)
                _sessions.TryRemove(token, out _);
        }
    }

    public Sandbox AddSandbox(string user, Func<Sandbox, Sandbox>? change = null)
    {
        var sandbox = new Sandbox
        {
            Id = Ids.New(Ids.Sandbox),
            OrgId = "org_1",
            ProjectId = "prj_default",
            Status = SandboxStatus.Idle,
            TemplateId = "tpl_python_node",
            TemplateSlug = "python-node",
            TemplateVersion = "2026-11-22",
            TemplateVersionId = "tplv_python_node_5c0ffee1",
            TtlMs = 900_000,
            ExpiresAt = DateTimeOffset.UtcNow.AddMinutes(13),
            Metadata = new Dictionary<string, string>(),
            CreatedAt = DateTimeOffset.UtcNow.AddMinutes(-2),
            Network = NetworkPolicy.None,
            Runtime = "runc",
            Resources = new SandboxResources(1, 1024),
        };
        sandbox = change?.Invoke(sandbox) ?? sandbox;
        Sandboxes[sandbox.Id] = new OwnedSandbox(user, sandbox);
        return sandbox;
    }

    public FakeCommand AddCommand(string user, string sandboxId, string line, Func<Command, Command>? change = null)
    {
        var command = new Command
        {
            Id = Ids.New(Ids.Command),
            SandboxId = sandboxId,
            CommandLine = line,
            Cwd = Limits.Workspace,
            Status = CommandStatus.Running,
            CreatedAt = DateTimeOffset.UtcNow,
            StartedAt = DateTimeOffset.UtcNow,
            CollectStatus = CollectStatus.NotRequested,
        };
        var fake = new FakeCommand(user, change?.Invoke(command) ?? command);
        Commands[command.Id] = fake;
        return fake;
    }
}

internal sealed record OwnedSandbox(string Owner, Sandbox Sandbox);
