using Microsoft.Extensions.Configuration;

namespace CrowNest.AppHost;

/// <summary>
/// A service of ours: the built program of a project. Not a project resource, which Aspire starts through <c>dotnet run</c>: that costs seconds
/// and 150 MiB for each (docs/decisions/apphost.md).
/// </summary>
internal sealed class ServiceResource(string name, string program, string workingDirectory)
    : ExecutableResource(name, program, workingDirectory), IResourceWithServiceDiscovery;

/// <summary>How the parts of the model are added.</summary>
internal static class ServiceBuilder
{
    public const string Loopback = "127.0.0.1";
    private const string OtlpSettings = "OTEL_EXPORTER_OTLP_";
    private const string Sampler = "OTEL_TRACES_SAMPLER";

    public static string Url(string host, int port) => new UriBuilder(Uri.UriSchemeHttp, host, port).Uri.ToString().TrimEnd('/');

    /// <summary>A service that listens on a fixed port, without a proxy in between, and is healthy when <c>/healthz</c> says so.</summary>
    /// <typeparam name="TProject">Its project; the program is taken from the build that the AppHost itself comes from.</typeparam>
    public static IResourceBuilder<ServiceResource> AddService<TProject>(
        this IDistributedApplicationBuilder builder, string name, int port, string listenAddress = Loopback)
        where TProject : IProjectMetadata, new()
    {
        var project = new TProject().ProjectPath;
        var folder = Path.GetDirectoryName(project)!;
        var program = Path.GetFileNameWithoutExtension(project);
        // artifacts/bin/{project}/{configuration}/: tests run in a folder of their own there, of the same configuration.
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var path = Path.Combine(folder, "..", "artifacts", "bin", program, configuration, program);
        return builder.AddResource(new ServiceResource(name, Path.GetFullPath(path), folder))
            .WithHttpEndpoint(port: port, isProxied: false)
            .WithEndpoint("http", endpoint => endpoint.TargetHost = listenAddress)
            .WithEnvironment("ASPNETCORE_URLS", Url(listenAddress, port))
            .WithHttpHealthCheck("/healthz")
            .WithOtlpExporter()
            .WithTelemetryOfTheOperator();
    }

    /// <summary>
    /// Hands on what the AppHost was told (<c>Worker__…</c> in its environment, <c>--Worker:…</c> on its command line); said last, so that it
    /// wins over the model.
    /// </summary>
    public static IResourceBuilder<ServiceResource> WithSettings(this IResourceBuilder<ServiceResource> service, string section)
    {
        foreach (var (key, value) in service.ApplicationBuilder.Configuration.GetSection(section).AsEnumerable())
        {
            if (value is not null)
                service.WithEnvironment(key.Replace(":", "__", StringComparison.Ordinal), value);
        }
        return service;
    }

    /// <summary>Telemetry goes to Aspire's dashboard, or where <c>OTEL_EXPORTER_OTLP_…</c> of the AppHost's own environment says.</summary>
    private static IResourceBuilder<ServiceResource> WithTelemetryOfTheOperator(this IResourceBuilder<ServiceResource> service)
    {
        var configuration = service.ApplicationBuilder.Configuration;
        return service.WithEnvironment(context =>
        {
            // In development Aspire asks for every trace, and the services' own choice leaves out what nobody asked for: polls and leases.
            if (configuration[Sampler] is { Length: > 0 } sampler)
                context.EnvironmentVariables[Sampler] = sampler;
            else
                context.EnvironmentVariables.Remove(Sampler);
            if (configuration[$"{OtlpSettings}ENDPOINT"] is not { Length: > 0 })
                return;
            // The key is for Aspire's dashboard alone.
            context.EnvironmentVariables.Remove($"{OtlpSettings}HEADERS");
            foreach (var (key, value) in configuration.AsEnumerable())
            {
                if (key.StartsWith(OtlpSettings, StringComparison.OrdinalIgnoreCase) && value is not null)
                    context.EnvironmentVariables[key] = value;
            }
        });
    }
}
