using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace CrowNest.Agent;

/// <summary>The agent's command line (docs/protocols.md 2). There is no other configuration: its environment is not read.</summary>
internal sealed record AgentOptions
{
    /// <summary>Path of the unix socket. Its directory must not be writable by the user.</summary>
    public required string Socket { get; init; }

    /// <summary>User and group of the user's processes; never 0.</summary>
    public required uint Uid { get; init; }

    public required uint Gid { get; init; }

    /// <summary>RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_FSIZE of every command. The pids limit must be at least 64 higher.</summary>
    public required ulong MaxProcesses { get; init; }

    public required ulong MaxOpenFiles { get; init; }

    public required ulong MaxFileBytes { get; init; }

    public required string Launcher { get; init; }

    public required string Workspace { get; init; }

    public required string Home { get; init; }

    /// <summary>Unacknowledged output a command may have before its pipes are no longer read, 4 KiB to 64 MiB.</summary>
    public required int OutputWindowBytes { get; init; }

    public static bool TryParse(
        string[] args, [NotNullWhen(true)] out AgentOptions? options, [NotNullWhen(false)] out string? problem)
    {
        var arguments = new Arguments(args);
        options = new AgentOptions
        {
            Socket = arguments.Text("--socket", null),
            // 0 is the agent itself; the highest value means "no change" to setresuid().
            Uid = (uint)arguments.Number("--uid", null, 1, uint.MaxValue - 1),
            Gid = (uint)arguments.Number("--gid", null, 1, uint.MaxValue - 1),
            MaxProcesses = arguments.Number("--max-processes", null, 1, 1 << 22),
            MaxOpenFiles = arguments.Number("--max-open-files", null, 16, 1 << 20),
            MaxFileBytes = arguments.Number("--max-file-bytes", null, 1, long.MaxValue),
            Launcher = arguments.Text("--launcher", Path.Combine(AppContext.BaseDirectory, "crownest-launch")),
            Workspace = arguments.Text("--workspace", "/workspace").TrimEnd('/'),
            Home = arguments.Text("--home", "/home/sandbox"),
            OutputWindowBytes = (int)arguments.Number("--output-window-bytes", 1024 * 1024, 4096, 64 * 1024 * 1024),
        };
        problem = arguments.Problem;
        if (problem is null && !options.Workspace.StartsWith('/')) problem = "--workspace must be an absolute path below /";
        if (problem is not null) options = null;
        return problem is null;
    }

    /// <summary>Takes the options one by one and keeps the first problem.</summary>
    private sealed class Arguments
    {
        private readonly Dictionary<string, string> _given = [];
        private string? _problem;

        internal Arguments(string[] args)
        {
            for (int i = 0; i < args.Length; i += 2)
            {
                if (i + 1 == args.Length)
                    _problem = $"{args[i]} needs a value";
                else if (!_given.TryAdd(args[i], args[i + 1]))
                    _problem = $"{args[i]} is given twice";
            }
        }

        /// <summary>Null when everything given was taken and valid.</summary>
        internal string? Problem => _problem ?? (_given.Count > 0 ? $"unknown option {_given.Keys.First()}" : null);

        internal string Text(string name, string? fallback)
        {
            if (_given.Remove(name, out var value) && value.Length > 0) return value;
            if (fallback is null) _problem ??= $"{name} is missing";
            return fallback ?? "";
        }

        internal ulong Number(string name, ulong? fallback, ulong least, ulong most)
        {
            var text = Text(name, fallback?.ToString(CultureInfo.InvariantCulture));
            if (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most)
                return value;
            _problem ??= $"{name} must be a number from {least} to {most}";
            return least;
        }
    }
}
