using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting;

/// <summary>Settings of the local flavour.</summary>
public sealed class LocalHostingOptions
{
    /// <summary>The variable that moves the state folder.</summary>
    public const string StateDirectoryVariable = "CROWNEST_STATE_DIRECTORY";

    /// <summary>The variable that opens external endpoints to other machines.</summary>
    public const string ListenAddressVariable = "CROWNEST_LISTEN_ADDRESS";

    /// <summary>Absolute folder for data, secrets, logs and pid files; default <c>.crownest</c> beside the AppHost's folder.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>The address on which endpoints marked external listen; everything else listens on loopback.</summary>
    public required string ListenAddress { get; init; }

    /// <summary>Whether Postgres survives a power loss (fsync). Only tests switch it off; its being killed loses nothing either way.</summary>
    public bool DurablePostgres { get; set; } = true;

    /// <summary>How long a project or executable may take to stop before SIGKILL.</summary>
    public TimeSpan StopGrace { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long Postgres and Redis may take to stop before SIGKILL.</summary>
    public TimeSpan BackingServiceStopGrace { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The wait before the first restart; doubles up to <see cref="MaximumRestartDelay"/>.</summary>
    public TimeSpan RestartDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait before a restart.</summary>
    public TimeSpan MaximumRestartDelay { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>After so much uninterrupted run time the next restart waits <see cref="RestartDelay"/> again.</summary>
    public TimeSpan RestartDelayResetAfter { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Where the lines of all resources go.</summary>
    public TextWriter Output { get; set; } = Console.Out;

    internal static LocalHostingOptions From(IConfiguration configuration, string appHostDirectory) => new()
    {
        StateDirectory = configuration[StateDirectoryVariable] is { Length: > 0 } directory
            ? Path.GetFullPath(directory)
            : Path.GetFullPath(Path.Combine(appHostDirectory, "..", ".crownest")),
        ListenAddress = configuration[ListenAddressVariable] is { Length: > 0 } address
            ? address
            : ApplicationModel.EndpointAnnotation.Loopback,
    };
}

/// <summary>What only the local flavour can be told.</summary>
public static class LocalHostingBuilderExtensions
{
    /// <summary>Changes the local flavour's settings.</summary>
    public static IDistributedApplicationBuilder ConfigureLocalHosting(
        this IDistributedApplicationBuilder builder, Action<LocalHostingOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        configure(builder.Local().Options);
        return builder;
    }

    internal static DistributedApplicationBuilder Local(this IDistributedApplicationBuilder builder) => (DistributedApplicationBuilder)builder;
}
