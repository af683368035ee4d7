namespace CrowNest.Bench;

/// <param name="Rounds">Repetitions of each quick measure; ours and Docker's alternate, so that both meet the same noise.</param>
/// <param name="Only">One of <see cref="Parts"/>; null: all of them.</param>
/// <param name="WorkerProcessId">For the memory of the worker, and of the API, while much passes through them.</param>
internal sealed record BenchOptions(int Rounds, string? Only, int WorkerProcessId, int ApiProcessId, string ResultsDirectory)
{
    public const string Usage = """
        usage: CrowNest.Bench --worker-pid PID --api-pid PID --results DIRECTORY [--rounds N] [--only commands|files|runs]
        CROWNEST_API_URL and CROWNEST_API_KEY name the stack. Use bench/run.sh, which starts one of its own.
        """;

    public const string Commands = "commands", Files = "files", Runs = "runs";

    /// <summary>Repetitions that are not timed: they meet code that is not compiled for speed yet.</summary>
    public const int WarmUps = 40;

    public static readonly string[] Parts = [Commands, Files, Runs];

    /// <summary>Image that both sides run.</summary>
    public const string Template = "python-node";

    public static string Image => $"crownest/{Template}:latest";

    public bool Wants(string part) => Only is null || Only == part;

    public static BenchOptions? Parse(string[] args)
    {
        var rounds = 30;
        int? worker = null;
        int? api = null;
        string? results = null;
        string? only = null;
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            switch (args[i])
            {
                case "--rounds" when int.TryParse(args[i + 1], out var n) && n > 0:
                    rounds = n;
                    break;
                case "--worker-pid" when int.TryParse(args[i + 1], out var pid):
                    worker = pid;
                    break;
                case "--api-pid" when int.TryParse(args[i + 1], out var pid):
                    api = pid;
                    break;
                case "--only" when Parts.Contains(args[i + 1]):
                    only = args[i + 1];
                    break;
                case "--results":
                    results = args[i + 1];
                    break;
                default:
                    return null;
            }
        }

        return args.Length % 2 == 0 && worker is { } id && api is { } apiId && results is not null
            ? new BenchOptions(rounds, only, id, apiId, results)
            : null;
    }
}
