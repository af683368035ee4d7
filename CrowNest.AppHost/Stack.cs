using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace CrowNest.AppHost;

/// <summary>One installation: its state folder, its ports, its secrets. Two stacks with other folders and ports share nothing.</summary>
/// <remarks>
/// Read from configuration (environment or command line): <c>CROWNEST_STATE_DIRECTORY</c>, <c>CROWNEST_LISTEN_ADDRESS</c>,
/// <c>CROWNEST_{NAME}_PORT</c>.
/// </remarks>
internal sealed class Stack(IDistributedApplicationBuilder builder, string root, StateFolder state) : IDisposable
{
    /// <summary>The agent and the launcher, as <c>eng/build-agent.sh</c> leaves them.</summary>
    public string AgentDirectory => Path.Combine(root, "artifacts", "agent");

    public StateFolder State => state;

    /// <summary>Where the services that people and clients call listen; the others stay on loopback.</summary>
    public string ListenAddress => builder.Configuration["CROWNEST_LISTEN_ADDRESS"] is { Length: > 0 } address ? address : ServiceBuilder.Loopback;

    /// <summary>The folder of a resource below the state folder.</summary>
    public string Folder(string resource) => state.Combine(resource);

    /// <summary>The fixed port of a resource; <c>CROWNEST_{NAME}_PORT</c> replaces it, so that a second stack runs beside this one.</summary>
    /// <exception cref="DistributedApplicationException">The setting is not a port.</exception>
    public int Port(string name, int fallback)
    {
        var variable = $"CROWNEST_{name}_PORT";
        if (builder.Configuration[variable] is not { Length: > 0 } text)
            return fallback;
        return int.TryParse(text, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535
            ? port
            : throw new DistributedApplicationException($"{variable} is '{text}'; it must be a port from 1 to 65535.");
    }

    /// <summary>
    /// A secret that is made once and kept in the state folder. Not in user secrets, where Aspire keeps generated ones: two checkouts would
    /// share them, and data that outlives its password does not open.
    /// </summary>
    public IResourceBuilder<ParameterResource> Secret(string name) => builder.AddParameter(name, () => state.GetOrCreateSecret(name), secret: true);

    public void Dispose() => state.Dispose();
}

internal static class StackBuilder
{
    /// <summary>
    /// Everything between the processes stays on this machine's loopback and sockets, so no certificate is needed, and none is missed; TLS is the
    /// business of what stands in front.
    /// </summary>
    public static DistributedApplicationOptions OptionsOf(string[] args) => new()
    {
        Args = args,
        AllowUnsecuredTransport = true,
        TrustDeveloperCertificate = false,
        DeveloperCertificateDefaultHttpsTerminationEnabled = false,
    };

    /// <summary>Takes the state folder, and tells Aspire where its own dashboard listens.</summary>
    public static Stack AddStack(this IDistributedApplicationBuilder builder)
    {
        var root = Path.GetFullPath(Path.Combine(builder.AppHostDirectory, ".."));
        var configured = builder.Configuration["CROWNEST_STATE_DIRECTORY"];
        var state = new StateFolder(string.IsNullOrEmpty(configured) ? Path.Combine(root, ".crownest") : Path.GetFullPath(configured));
        var stack = new Stack(builder, root, state);
        if (!builder.ExecutionContext.IsRunMode)
            return stack;

        builder.Eventing.Subscribe<BeforeStartEvent>(async (_, _) =>
        {
            state.Lock();
            await Prerequisites.RequireAsync(builder, stack);
        });
        builder.Configuration["ASPNETCORE_URLS"] = ServiceBuilder.Url(ServiceBuilder.Loopback, stack.Port("ASPIRE", 8792));
        builder.Configuration["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = ServiceBuilder.Url(ServiceBuilder.Loopback, stack.Port("OTLP", 8793));
        // Between the AppHost and the dashboard alone: any port, but not HTTPS, for which there would have to be a certificate.
        builder.Configuration["ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL"] = ServiceBuilder.Url(ServiceBuilder.Loopback, 0);
        // No prompts, of which the one for a development certificate would look like an error.
        builder.Configuration["ASPIRE_INTERACTIVITY_ENABLED"] = "false";
        builder.Configuration["AppHost:BrowserToken"] = state.GetOrCreateSecret("aspire-dashboard-token");
        // DCP goes on stopping after the AppHost has ended otherwise, and nobody could wait for it.
        builder.Configuration["DcpPublisher:WaitForResourceCleanup"] = "true";
        builder.Services.AddSingleton(stack);
        // Before Aspire's own: its start ends only when everything runs, and what hinders that shall stand in the logs.
        builder.Services.Insert(0, ServiceDescriptor.Singleton<IHostedService, ResourceLogFiles>());
        builder.Services.AddHostedService<ServiceSupervisor>();
        return stack;
    }
}
