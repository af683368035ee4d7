using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Sandboxes;

/// <summary>
/// What a create and an extend may ask for (docs/reference/api.md 4.3, 4.7, 2.16; docs/reference/stateset.md 2). Every method throws what
/// is wrong.
/// </summary>
internal static class SandboxRules
{
    /// <summary>Lifetime in milliseconds of a new sandbox.</summary>
    public static long CreateTtl(long? requested, PlanLimits plan, SandboxOptions options)
    {
        if (requested is not { } ttlMs)
        {
            return Math.Min(options.DefaultTtlMs, plan.CreateTtlMs);
        }

        return Within(Positive(ttlMs), plan.CreateTtlMs);
    }

    /// <summary>New lifetime in milliseconds of a sandbox of the given age.</summary>
    public static long ExtendTtl(long? requested, TimeSpan age, PlanLimits plan)
    {
        var ttlMs = Positive(requested ?? throw ApiException.InvalidField("ttlMs", "ttlMs is required: the new lifetime from now, in milliseconds."));
        var session = Math.Max(0, plan.SessionMs - (long)Math.Ceiling(age.TotalMilliseconds));
        return Within(ttlMs, Math.Min(plan.ExtendTtlMs, session));
    }

    /// <summary>Size of a sandbox; absent members take the deployment's default.</summary>
    public static (double Cpus, int MemoryMb) Resources(SandboxResources? requested, ResourceRange range)
    {
        var cpus = requested?.Cpus ?? range.DefaultCpus;
        if (requested?.Cpus is not null && !(cpus >= range.MinCpus && cpus <= range.MaxCpus))
        {
            throw Unsupported("resources.cpus", range.MinCpus, range.MaxCpus);
        }

        var memoryMb = requested?.MemoryMb ?? range.DefaultMemoryMb;
        if (requested?.MemoryMb is not null && (memoryMb < range.MinMemoryMb || memoryMb > range.MaxMemoryMb))
        {
            throw Unsupported("resources.memoryMb", range.MinMemoryMb, range.MaxMemoryMb);
        }

        return (cpus, memoryMb);
    }

    /// <summary>Checks the requested network; null means the template version's own.</summary>
    public static void CheckNetwork(string? requested, SandboxOptions options)
    {
        if (requested is not (null or NetworkPolicy.None or NetworkPolicy.Internet))
        {
            throw ApiException.InvalidField("network", "network must be \"none\" or \"internet\".");
        }

        if (requested == NetworkPolicy.Internet && !options.AllowInternet)
        {
            throw new ApiException(
                ErrorCodes.UnsupportedRuntimeOption, "This deployment gives sandboxes no network.", new JsonObject { ["field"] = "network" });
        }
    }

    /// <summary>The network a sandbox gets: a deployment without internet overrules the version's default.</summary>
    public static string Network(string? requested, string versionDefault, SandboxOptions options) =>
        requested ?? (options.AllowInternet ? versionDefault : NetworkPolicy.None);

    /// <summary>Backups do not exist here (docs/reference/api.md 17).</summary>
    public static void CheckRestoreFrom(string? restoreFrom)
    {
        if (restoreFrom is not null)
        {
            throw new ApiException(ErrorCodes.FeatureNotEnabled, "This deployment has no backups: restoreFrom cannot be used.",
                new JsonObject { ["field"] = "restoreFrom" });
        }
    }

    private static long Positive(long ttlMs) => ttlMs > 0 ? ttlMs : throw ApiException.InvalidField("ttlMs", "ttlMs must be a positive number of milliseconds.");

    private static long Within(long ttlMs, long max) => ttlMs <= max ? ttlMs : throw new ApiException(
        ErrorCodes.SandboxTtlExceeded, $"ttlMs may not exceed {max}.", new JsonObject { ["field"] = "ttlMs", ["max"] = max });

    private static ApiException Unsupported(string field, double min, double max) => new(
        ErrorCodes.UnsupportedRuntimeOption, $"{field} must be between {min} and {max} in this deployment.",
        new JsonObject { ["field"] = field, ["min"] = min, ["max"] = max });
}
