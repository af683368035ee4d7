using System.Reflection;

namespace CrowNest.AppHost;

/// <summary>This AppHost was compiled against Aspire.</summary>
internal static class Flavour
{
    public static string Describe()
    {
        var decision = typeof(Flavour).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(metadata => metadata.Key == "AspireDecision")?.Value;
        var reason = decision == "explicit" ? "UseAspire=true was given" : "its packages are here; UseAspire=false runs without containers";
        return $"CrowNest.AppHost: Aspire ({reason})";
    }

    // Postgres, Redis and MinIO are containers here: the engine is all that is needed, and asked for in any case.
    public static IEnumerable<(string What, string Bring)> FindMissing() => [];
}
