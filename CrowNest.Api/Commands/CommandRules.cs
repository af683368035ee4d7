using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CrowNest.Api.Artifacts;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Sandboxes;

namespace CrowNest.Api.Commands;

/// <summary>A command that passed every rule which can be decided outside of the sandbox.</summary>
/// <param name="Cwd">Absolute and normalized.</param>
/// <param name="TimeoutMs">null: until it ends, or the sandbox does.</param>
/// <param name="Collect">null: nothing is collected.</param>
internal sealed record CheckedCommand(
    string Command, string Cwd, IReadOnlyDictionary<string, string> Env, long? TimeoutMs, CollectPlan? Collect = null);

/// <summary>
/// What <c>commands/run</c> and <c>commands/start</c> may ask for (docs/reference/api.md 5.2). Every method throws what is wrong.
/// </summary>
internal static partial class CommandRules
{
    private const string OnSuccess = "success";

    private static readonly IReadOnlyDictionary<string, string> NoEnvironment = new Dictionary<string, string>();

    /// <summary>Checks the body of <c>commands/run</c>.</summary>
    public static CheckedCommand CheckRun(RunCommandRequest request, ArtifactBounds artifacts)
    {
        var timeoutMs = request.TimeoutMs ?? Limits.DefaultRunTimeoutMs;
        CheckTimeout(timeoutMs, Limits.MaxRunTimeoutMs);
        var collect = CheckCollect(request, artifacts);
        return new CheckedCommand(CheckCommand(request.Command), CheckCwd(request.Cwd), CheckEnv(request.Env), timeoutMs, collect);
    }

    /// <summary>Checks the body of <c>commands/start</c>.</summary>
    /// <param name="maxTimeoutMs">The session ceiling of the caller's plan.</param>
    public static CheckedCommand CheckStart(RunCommandRequest request, long maxTimeoutMs)
    {
        if (request.Collect is not null || request.CollectOn is not null)
        {
            throw Invalid(request.Collect is not null ? "collect" : "collectOn", "A started command cannot collect files: use commands/run.");
        }

        if (request.TimeoutMs is { } timeoutMs)
        {
            CheckTimeout(timeoutMs, maxTimeoutMs);
        }

        return new CheckedCommand(CheckCommand(request.Command), CheckCwd(request.Cwd), CheckEnv(request.Env), request.TimeoutMs);
    }

    /// <summary>The mode of a cancel; graceful when none is named (docs/reference/api.md 5.5).</summary>
    public static string CheckCancelMode(string? mode) => mode switch
    {
        null or CancelMode.Graceful => CancelMode.Graceful,
        CancelMode.Force => CancelMode.Force,
        _ => throw Invalid("mode", "mode must be \"graceful\" or \"force\"."),
    };

    /// <summary>A shell command line.</summary>
    public static string CheckCommand(string? command)
    {
        if (string.IsNullOrWhiteSpace(command))
        {
            throw Invalid("command", "command is required: a shell command line that is not blank.");
        }

        RefuseNul("command", command);
        if (Encoding.UTF8.GetByteCount(command) > Limits.CommandBytes)
        {
            throw Invalid("command", $"command may not be longer than {Limits.CommandBytes} bytes.", Limits.CommandBytes);
        }

        return command;
    }

    private static string CheckCwd(string? cwd)
    {
        if (cwd is null)
        {
            return Limits.Workspace;
        }

        if (cwd.Length == 0 || Encoding.UTF8.GetByteCount(cwd) > WorkspacePath.MaxBytes)
        {
            throw Invalid("cwd", $"cwd must be a path of 1 to {WorkspacePath.MaxBytes} bytes.");
        }

        RefuseNul("cwd", cwd);
        return WorkspacePath.Normalize(cwd) ?? throw new ApiException(
            ErrorCodes.PathOutsideWorkspace, $"cwd must be inside {Limits.Workspace}.", new JsonObject { ["field"] = "cwd" });
    }

    private static IReadOnlyDictionary<string, string> CheckEnv(IReadOnlyDictionary<string, string>? env)
    {
        foreach (var (key, value) in env ?? NoEnvironment)
        {
            if (key.StartsWith("CROWNEST", StringComparison.Ordinal))
            {
                throw new ApiException(ErrorCodes.ReservedEnvKey, "Environment names that start with CROWNEST are the platform's own.",
                    new JsonObject { ["field"] = "env", ["key"] = key });
            }

            if (!EnvironmentKey().IsMatch(key))
            {
                throw Invalid("env", "An environment name is letters, digits and underscores, and does not start with a digit.");
            }

            if (value is null)
            {
                throw Invalid($"env.{key}", $"The value of environment variable {key} must be a string.");
            }

            RefuseNul($"env.{key}", value);
        }

        return env ?? NoEnvironment;
    }

    private static void CheckTimeout(long timeoutMs, long max)
    {
        if (timeoutMs < 1 || timeoutMs > max)
        {
            throw Invalid("timeoutMs", $"timeoutMs must be between 1 and {max}.", max);
        }
    }

    private static CollectPlan? CheckCollect(RunCommandRequest request, ArtifactBounds artifacts)
    {
        if (request.CollectOn is not (null or OnSuccess or "always"))
        {
            throw Invalid("collectOn", "collectOn must be \"success\" or \"always\".");
        }

        if (request.Collect is not { Count: > 0 } entries)
        {
            return null;
        }

        if (entries.Count > Limits.CollectEntries)
        {
            throw Invalid("collect", $"collect may not have more than {Limits.CollectEntries} entries.", Limits.CollectEntries);
        }

        for (var i = 0; i < entries.Count; i++)
        {
            // A longer path is no file's, and its request would not reach the sandbox.
            if (entries[i] is not { Path.Length: > 0, Name: null or { Length: >= 1 and <= 255 } } entry
                || Encoding.UTF8.GetByteCount(entry.Path) > WorkspacePath.MaxBytes)
            {
                throw Invalid($"collect[{i}]",
                    $"An entry of collect is {{ path, name? }} with a path of 1 to {WorkspacePath.MaxBytes} bytes, and a name of 1 to 255 "
                    + "characters.");
            }
        }

        // A path outside of the workspace is told of as an error of its entry, like a missing file (docs/reference/api.md 5.1).
        return new CollectPlan(
            [.. entries.Select(e => new CollectItem(e.Path!, e.Name))], request.CollectOn ?? OnSuccess,
            (long)artifacts.Retention.TotalMilliseconds, artifacts.MaxBytes);
    }

    private static void RefuseNul(string field, string value)
    {
        if (value.Contains('\0'))
        {
            throw Invalid(field, $"{field} may not contain a NUL character.");
        }
    }

    private static ApiException Invalid(string field, string message, long? max = null)
    {
        var details = new JsonObject { ["field"] = field };
        if (max is not null)
        {
            details["max"] = max;
        }

        return new ApiException(ErrorCodes.InvalidRequest, message, details);
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*\\z", RegexOptions.CultureInvariant)]
    private static partial Regex EnvironmentKey();
}
