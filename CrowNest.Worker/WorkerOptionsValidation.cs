using System.Net;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker;

/// <summary>Says everything that is wrong with the settings at once, each by its name.</summary>
internal sealed class WorkerOptionsValidation : IValidateOptions<WorkerOptions>
{
    /// <summary>
    /// For the launchers of the 64 commands that may run at once, and the agent's own threads (16, whatever runs) twice over: a fork bomb ends
    /// the agent otherwise.
    /// </summary>
    private const int ReservedPids = 96;

    public ValidateOptionsResult Validate(string? name, WorkerOptions options)
    {
        var failures = new List<string>();
        Check(options.Id is null || Ids.IsValid(options.Id, Ids.Worker), "Id must have the form wrk_…");
        Check(IsHttpUrl(options.ListenUrl), $"ListenUrl must be an http URL, it is '{options.ListenUrl}'");
        Check(IsHttpUrl(options.AdvertisedUrl), $"AdvertisedUrl must be an http URL, it is '{options.AdvertisedUrl}'");
        foreach (var program in Nodes.AgentPrograms.Names)
        {
            Check(File.Exists(Path.Combine(options.AgentDirectory ?? "", program)),
                $"AgentDirectory must hold {program}; there is none in '{options.AgentDirectory}'. Build CrowNest.Agent first");
        }

        Check(options.WarmPoolSize.Values.All(size => size is >= 0 and <= 1000), "WarmPoolSize must be 0 to 1000 per template");
        Check(options.WarmPoolSize.Keys.All(TemplateSlugs.All.Contains),
            $"WarmPoolSize knows the templates {string.Join(", ", TemplateSlugs.All)}");
        Check(options.RefillConcurrency is >= 1 and <= 64, "RefillConcurrency must be 1 to 64");
        Check(options.Capacity is null or >= 1, "Capacity must be at least 1");
        Check(options.DefaultCpus is >= 0.01 and <= 1024, "DefaultCpus must be 0.01 to 1024");
        Check(options.DefaultMemoryMb >= 64, "DefaultMemoryMb must be at least 64");
        Check(options is { WorkspaceMb: > 0, TmpMb: > 0, HomeMb: > 0 }, "WorkspaceMb, TmpMb and HomeMb must be positive");
        Check(options is { WorkspaceInodes: >= 16, TmpInodes: >= 16, HomeInodes: >= 16 }, "the inode limits must be at least 16");
        Check(options.MaxProcesses >= 1 && options.MaxProcesses <= options.PidsLimit - ReservedPids,
            $"MaxProcesses must be at least {ReservedPids} below PidsLimit ({options.PidsLimit})");
        Check(options.MaxOpenFiles >= 16, "MaxOpenFiles must be at least 16");
        Check(options.MaxFileBytes > 0, "MaxFileBytes must be positive");
        Check(options is { UidBase: >= 10_000, UidCount: >= 1 }, "UidBase must be at least 10000 and UidCount at least 1");
        Check(options.IdleAfter is null || options.IdleAfter > TimeSpan.Zero, "IdleAfter must be positive");
        Check(options.LeaseSeconds is >= 3 and <= 600, "LeaseSeconds must be 3 to 600");
        Check(IPNetwork.TryParse(options.Subnet, out var subnet) && subnet.BaseAddress.GetAddressBytes().Length == 4,
            $"Subnet must be an IPv4 range like 10.219.0.0/16, it is '{options.Subnet}'");
        Check(options.DnsResolvers.All(IsIpv4), "DnsResolvers must be IPv4 addresses");
        Check(options.BlockedRanges.All(range => IPNetwork.TryParse(range, out _)), "BlockedRanges must be IPv4 ranges");
        Check(options is { SweepInterval.Ticks: > 0, ReapInterval.Ticks: > 0, TemplateScanInterval.Ticks: > 0 },
            "the intervals must be positive");
        foreach (var rule in options.Runs.Faults())
        {
            Check(holds: false, $"Runs: {rule}");
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void Check(bool holds, string rule)
        {
            if (!holds)
            {
                failures.Add($"{WorkerOptions.SectionName}: {rule}.");
            }
        }
    }

    private static bool IsHttpUrl(string? url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttp;

    private static bool IsIpv4(string text) =>
        IPAddress.TryParse(text, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork;
}
