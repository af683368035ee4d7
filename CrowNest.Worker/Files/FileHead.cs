using System.Globalization;
using CrowNest.Platform.Sandboxes;
using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Files;

/// <summary>What the headers of a file's content tell of it (docs/protocols.md 2.4), once they are checked.</summary>
/// <param name="Path">Absolute, resolved, beneath the workspace.</param>
/// <param name="SizeBytes">At most so many bytes follow.</param>
/// <param name="ModifiedAt">Unix milliseconds; below zero before 1970.</param>
internal sealed record FileHead(string Path, long SizeBytes, long ModifiedAt)
{
    public const string SizeHeader = "X-File-Size";
    public const string PathHeader = "X-File-Path";
    public const string ModifiedHeader = "X-File-Modified";

    /// <param name="maxBytes">What was asked for at most.</param>
    /// <exception cref="AgentUnavailableException">They are not the protocol's.</exception>
    public static FileHead Read(HttpResponseMessage response, long maxBytes)
    {
        var size = Number(response, SizeHeader, NumberStyles.None);
        var path = Uri.UnescapeDataString(Single(response, PathHeader));
        return size <= maxBytes && path.Length > 0 && WorkspacePath.Normalize(path) == path
            ? new FileHead(path, size, Number(response, ModifiedHeader, NumberStyles.AllowLeadingSign))
            : throw Broken("it tells of a file that was not asked for");
    }

    public void Write(IHeaderDictionary headers)
    {
        headers[SizeHeader] = SizeBytes.ToString(CultureInfo.InvariantCulture);
        headers[PathHeader] = Uri.EscapeDataString(Path);
        headers[ModifiedHeader] = ModifiedAt.ToString(CultureInfo.InvariantCulture);
    }

    private static long Number(HttpResponseMessage response, string name, NumberStyles style) =>
        long.TryParse(Single(response, name), style, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Broken($"its {name} is no number");

    private static string Single(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) && values.ToArray() is [{ } value] ? value : throw Broken($"it has no {name}");

    private static AgentUnavailableException Broken(string what) => new($"The agent breaks the protocol: {what}.") { BrokeProtocol = true };
}
