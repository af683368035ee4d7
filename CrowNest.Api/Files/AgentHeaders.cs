using System.Globalization;

namespace CrowNest.Api.Files;

/// <summary>What the agent tells of a file whose bytes it sends (docs/protocols.md 2.4).</summary>
internal static class AgentHeaders
{
    public static string? Path(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-File-Path", out var values) ? Uri.UnescapeDataString(values.First()) : null;

    public static long? Size(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-File-Size", out var values)
        && long.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : null;
}
