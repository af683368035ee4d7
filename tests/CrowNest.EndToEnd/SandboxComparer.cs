using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.EndToEnd;

/// <summary>Equal when their JSON is.</summary>
internal sealed class SandboxComparer : IEqualityComparer<Sandbox>
{
    public static SandboxComparer Instance { get; } = new();

    public bool Equals(Sandbox? x, Sandbox? y) => Json(x) == Json(y);

    public int GetHashCode(Sandbox obj) => Json(obj).GetHashCode(StringComparison.Ordinal);

    private static string Json(Sandbox? sandbox) => JsonSerializer.Serialize(sandbox, CrowNestJson.Options);
}
