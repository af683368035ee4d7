using CrowNest.Agent.Http;

namespace CrowNest.Agent.Commands;

/// <summary>The whole environment of a user's process: ours, over it the claim's, over it the command's; nothing of the agent's.</summary>
internal static class CommandEnvironment
{
    internal static List<string> Compose(
        AgentOptions options, IReadOnlyDictionary<string, string> claim, IReadOnlyDictionary<string, string>? command)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["PATH"] = $"{options.Home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ["HOME"] = options.Home,
            ["USER"] = "sandbox",
            ["LOGNAME"] = "sandbox",
            ["LANG"] = "C.UTF-8",
        };
        foreach (var (name, value) in claim) variables[name] = value;
        foreach (var (name, value) in command ?? claim) variables[name] = value;
        return [.. variables.Select(v => $"{v.Key}={v.Value}")];
    }

    /// <exception cref="AgentException">invalid_request: a name or value that no environment can hold</exception>
    internal static void Check(IReadOnlyDictionary<string, string>? environment)
    {
        if (environment is null) return;
        foreach (var (name, value) in environment)
        {
            if (name.Length == 0 || name.AsSpan().ContainsAny('=', '\0') || value is null || value.Contains('\0'))
                throw new AgentException(AgentError.InvalidRequest($"environment variable {name} has an impossible name or value"));
        }
    }
}
