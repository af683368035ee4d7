using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting;

/// <summary>Collects the resources of an application.</summary>
public interface IDistributedApplicationBuilder
{
    /// <summary>Environment variables and command line of the AppHost; the command line wins.</summary>
    ConfigurationManager Configuration { get; }

    /// <summary>Absolute folder of the AppHost's project.</summary>
    string AppHostDirectory { get; }

    /// <summary>The AppHost's own environment.</summary>
    IHostEnvironment Environment { get; }

    /// <summary>The AppHost's own services.</summary>
    IServiceCollection Services { get; }

    /// <summary>Why the model is built.</summary>
    DistributedApplicationExecutionContext ExecutionContext { get; }

    /// <summary>The resources so far.</summary>
    IList<IResource> Resources { get; }

    /// <summary>Adds a resource; names are unique without regard to case.</summary>
    IResourceBuilder<T> AddResource<T>(T resource) where T : IResource;

    /// <summary>A builder for a resource that is in the model already, or is not meant to be.</summary>
    IResourceBuilder<T> CreateResourceBuilder<T>(T resource) where T : IResource;

    /// <summary>The application, not yet started.</summary>
    DistributedApplication Build();
}

/// <summary>What an application is created from.</summary>
public sealed class DistributedApplicationOptions
{
    /// <summary>Command line; <c>--NAME=value</c> overrides the environment variable of that name.</summary>
    public string[]? Args { get; set; }

    /// <summary>The AppHost's assembly when it is not the entry assembly, as in tests.</summary>
    public string? AssemblyName { get; set; }
}

/// <summary>Why a model is built. The local flavour only runs.</summary>
public sealed class DistributedApplicationExecutionContext
{
    /// <summary>Always true.</summary>
    public bool IsRunMode { get; } = true;

    /// <summary>Always false: manifests are published by Aspire.</summary>
    public bool IsPublishMode { get; }
}

internal sealed class DistributedApplicationBuilder : IDistributedApplicationBuilder
{
    // One setting, three resources deep: every grace of the stop order must fit in.
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromMinutes(3);

    private readonly HostApplicationBuilder _host;

    public DistributedApplicationBuilder(DistributedApplicationOptions options)
    {
        _host = new HostApplicationBuilder(new HostApplicationBuilderSettings
        {
            DisableDefaults = true,
            EnvironmentName = System.Environment.GetEnvironmentVariable("DOTNET_ENVIRONMENT"),
        });
        _host.Configuration.AddEnvironmentVariables();
        _host.Configuration.AddCommandLine(options.Args ?? []);
        AppHostDirectory = FindAppHostDirectory(options.AssemblyName);
        Options = LocalHostingOptions.From(_host.Configuration, AppHostDirectory);
        State = new StateFolder(Options);

        _host.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        _host.Services.TryAddSingleton(TimeProvider.System);
        _host.Services.AddSingleton(Options);
        _host.Services.AddSingleton(State);
        _host.Services.AddSingleton(ExecutionContext);
        _host.Services.AddSingleton<IDistributedApplicationBuilder>(this);
        _host.Services.AddSingleton<ResourceConsole>();
        _host.Services.AddSingleton<ProcessLauncher>();
        _host.Services.AddSingleton<ResourceNotificationService>();
        _host.Services.AddSingleton<EnvironmentComposer>();
        _host.Services.AddSingleton<ApplicationRunner>();
        _host.Services.AddHostedService(services => services.GetRequiredService<ApplicationRunner>());
        _host.Services.AddSingleton<ILoggerProvider, ResourceConsoleLoggerProvider>();
        _host.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Microsoft", LogLevel.Warning)
            // What the host logs about a failed start, with a stack, is thrown to the caller as well, who shows it to a human.
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
    }

    public ConfigurationManager Configuration => _host.Configuration;

    public string AppHostDirectory { get; }

    public IHostEnvironment Environment => _host.Environment;

    public IServiceCollection Services => _host.Services;

    public DistributedApplicationExecutionContext ExecutionContext { get; } = new();

    public IList<IResource> Resources { get; } = [];

    public LocalHostingOptions Options { get; }

    public StateFolder State { get; }

    public IResourceBuilder<T> AddResource<T>(T resource) where T : IResource
    {
        if (Resources.Any(other => string.Equals(other.Name, resource.Name, StringComparison.OrdinalIgnoreCase)))
            throw new DistributedApplicationException($"There are two resources named `{resource.Name}`.");
        Resources.Add(resource);
        return CreateResourceBuilder(resource);
    }

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource) where T : IResource => new ResourceBuilder<T>(this, resource);

    public DistributedApplication Build() => new(_host.Build());

    private static string FindAppHostDirectory(string? assemblyName)
    {
        var assembly = assemblyName is null ? Assembly.GetEntryAssembly() : Assembly.Load(assemblyName);
        return assembly?.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(metadata => metadata.Key == "apphostprojectpath")?.Value ?? Directory.GetCurrentDirectory();
    }
}
