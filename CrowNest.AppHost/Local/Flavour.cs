using System.Reflection;
using Aspire.Hosting.Services;

namespace CrowNest.AppHost;

/// <summary>This AppHost was compiled against CrowNest.LocalHosting.</summary>
internal static class Flavour
{
    public static string Describe()
    {
        var decision = typeof(Flavour).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .FirstOrDefault(metadata => metadata.Key == "AspireDecision")?.Value;
        var reason = decision switch
        {
            "explicit" => "UseAspire=false was given",
            "unavailable" => "Aspire's packages are in none of the registries; delete artifacts/aspire-*.unavailable to look again",
            _ => "Aspire's packages are not here; dotnet restore CrowNest.AppHost looks for them",
        };
        return $"CrowNest.AppHost: local processes ({reason})";
    }

    public static IEnumerable<(string What, string Bring)> FindMissing()
    {
        if (LocalPrograms.FindPostgres() is null)
            yield return ("Postgres (initdb and postgres in /usr/lib/postgresql/*/bin or PATH)", "eng/setup.sh");
        foreach (var program in LocalPrograms.Required.Where(program => LocalPrograms.Find(program) is null))
            yield return ($"the program {program}", "eng/setup.sh");
    }
}
