using System.Text;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>
/// A path beneath the workspace after the lexical half of docs/reference/api.md 2.13: no <c>.</c>, no <c>..</c>, no empty component. What
/// its links mean is decided where it is opened.
/// </summary>
internal sealed class FilePath
{
    private static readonly UTF8Encoding s_strict = new(false, throwOnInvalidBytes: true);

    private readonly byte[] _relative;
    private readonly int _nameStart;

    private FilePath(string absolute, byte[] relative)
    {
        Absolute = absolute;
        _relative = relative;
        _nameStart = relative.AsSpan().LastIndexOf((byte)'/') + 1;
    }

    /// <summary>What answers show: absolute, with the workspace.</summary>
    internal string Absolute { get; }

    internal bool IsRoot => _relative.Length == 0;

    /// <summary>From the workspace on; empty for the workspace itself.</summary>
    internal ReadOnlySpan<byte> Relative => _relative;

    internal ReadOnlySpan<byte> Parent => _relative.AsSpan(0, Math.Max(0, _nameStart - 1));

    internal ReadOnlySpan<byte> Name => _relative.AsSpan(_nameStart);

    /// <exception cref="AgentException">invalid_request, path_outside_workspace</exception>
    internal static FilePath Parse(string? path, string workspace, string member = "path")
    {
        if (string.IsNullOrEmpty(path) || path.Contains('\0'))
            throw new AgentException(AgentError.InvalidRequest($"{member} must be neither empty nor contain NUL"));
        if (path.Length >= FileCalls.MaxPath) throw TooLong(member);
        var kept = new List<string>();
        if (!path.StartsWith('/')) kept.AddRange(workspace.Split('/', StringSplitOptions.RemoveEmptyEntries));
        foreach (var component in path.Split('/'))
        {
            switch (component)
            {
                case "" or ".":
                    break;
                case "..":
                    // Above / is /, as everywhere.
                    if (kept.Count > 0) kept.RemoveAt(kept.Count - 1);
                    break;
                default:
                    kept.Add(component);
                    break;
            }
        }

        var absolute = "/" + string.Join('/', kept);
        if (absolute != workspace && !absolute.StartsWith(workspace + "/", StringComparison.Ordinal))
            throw new AgentException(AgentError.PathOutsideWorkspace(path));
        return new FilePath(absolute, Encode(kept, absolute, workspace, member));
    }

    private static byte[] Encode(List<string> components, string absolute, string workspace, string member)
    {
        try
        {
            foreach (var component in components)
            {
                if (s_strict.GetByteCount(component) > FileCalls.MaxName)
                    throw new AgentException(AgentError.InvalidRequest($"{member}: a name has at most {FileCalls.MaxName} bytes"));
            }
            // The kernel's limit counts the terminating NUL.
            if (s_strict.GetByteCount(absolute) >= FileCalls.MaxPath) throw TooLong(member);
            return absolute.Length == workspace.Length ? [] : s_strict.GetBytes(absolute[(workspace.Length + 1)..]);
        }
        catch (EncoderFallbackException)
        {
            throw new AgentException(AgentError.InvalidRequest($"{member} is not Unicode"));
        }
    }

    private static AgentException TooLong(string member) =>
        new(AgentError.InvalidRequest($"{member} must be shorter than {FileCalls.MaxPath} bytes"));
}
