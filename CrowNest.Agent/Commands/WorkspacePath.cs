using CrowNest.Agent.Http;

namespace CrowNest.Agent.Commands;

/// <summary>
/// The lexical half of docs/reference/api.md 2.13; the launcher does the other half, on the opened directory and as the user.
/// </summary>
internal static class WorkspacePath
{
    /// <summary>Absolute form of a path below the workspace, without <c>.</c> and <c>..</c>.</summary>
    /// <exception cref="AgentException">invalid_request, path_outside_workspace</exception>
    internal static string Normalize(string path, string workspace)
    {
        if (path.Length == 0 || path.Contains('\0'))
            throw new AgentException(AgentError.InvalidRequest("cwd must be neither empty nor contain NUL"));
        var absolute = Path.GetFullPath(path, workspace).TrimEnd('/');
        if (absolute != workspace && !absolute.StartsWith(workspace + "/", StringComparison.Ordinal))
            throw new AgentException(AgentError.PathOutsideWorkspace(path));
        return absolute;
    }
}
