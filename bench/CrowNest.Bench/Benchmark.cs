using System.Globalization;
using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Bench;

/// <summary>The measures of the project's speed table, each beside plain Docker where Docker has the like.</summary>
internal sealed class Benchmark(BenchOptions options) : IDisposable
{
    private const long FloodBytes = 500L * 1000 * 1000;
    private static readonly CreateSandboxRequest Create = new() { Template = BenchOptions.Template };

    /// <summary>A size the pool does not hold, so that the start is cold.</summary>
    private static readonly CreateSandboxRequest CreateCold = Create with { Resources = new SandboxResources(MemoryMb: 777) };

    private readonly CrowNestClient _client = new();
    private readonly Docker _docker = new();
    private readonly Report _report = new(Machine.Describe(), DateTimeOffset.UtcNow);

    public async Task<Report> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await WarmUpAsync(cancellationToken);
            if (options.Wants(BenchOptions.Commands))
            {
                await CommandsAsync(cancellationToken);
            }

            if (options.Wants(BenchOptions.Files))
            {
                await new FileBenchmark(options, _client, _report).RunAsync(cancellationToken);
            }

            if (options.Wants(BenchOptions.Runs))
            {
                using var runs = new RunBenchmark(options, _client, _report, WaitForStockAsync);
                await runs.RunAsync(cancellationToken);
            }

            return _report;
        }
        finally
        {
            await Docker.RemoveAllAsync(CancellationToken.None);
        }
    }

    public void Dispose() => _docker.Dispose();

    private async Task CommandsAsync(CancellationToken cancellationToken)
    {
        await CreateWarmAsync(cancellationToken);
        await CreateColdAsync(cancellationToken);
        await RunTrueAsync(cancellationToken);
        await TimeToInteractiveAsync(cancellationToken);
        await FirstByteAsync(cancellationToken);
        await FloodAsync(cancellationToken);
        await ManyAtOnceAsync(cancellationToken);
        await IdleMemoryAsync(cancellationToken);
    }

    private async Task WarmUpAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < 3; i++)
        {
            var sandbox = await CreateFromPoolAsync(Create, null, cancellationToken);
            for (var j = 0; j < 20; j++)
            {
                await RunAsync(sandbox.Id, "true", cancellationToken);
            }

            await _client.Sandboxes.KillAsync(sandbox.Id, cancellationToken);
            await Docker.RunOnceAsync(["true"], cancellationToken);
        }
    }

    private async Task CreateWarmAsync(CancellationToken cancellationToken)
    {
        Samples ours = new(), docker = new();
        for (var i = 0; i < options.Rounds; i++)
        {
            var sandbox = await CreateFromPoolAsync(Create, ours, cancellationToken);
            await KillAsync(sandbox, cancellationToken);
            await docker.TimeAsync(() => Docker.RunDetachedAsync(cancellationToken));
            await Docker.RemoveAllAsync(cancellationToken);
        }

        _report.AddRatio("create from a warm pool, through the API", ours, "`docker run -d`", docker, 1 / 10.0);
    }

    private async Task CreateColdAsync(CancellationToken cancellationToken)
    {
        Samples ours = new(), docker = new();
        for (var i = 0; i < options.Rounds / 2; i++)
        {
            var sandbox = await ours.TimeAsync(() => _client.Sandboxes.CreateAsync(CreateCold, cancellationToken: cancellationToken));
            await KillAsync(sandbox, cancellationToken);
            await docker.TimeAsync(() => _docker.CreateAndStartAsync(cancellationToken));
            await Docker.RemoveAllAsync(cancellationToken);
        }

        _report.AddRatio("create cold, through the API", ours, "engine create + start", docker, 1.3);
    }

    private async Task RunTrueAsync(CancellationToken cancellationToken)
    {
        var sandbox = await CreateFromPoolAsync(Create, null, cancellationToken);
        var container = await Docker.RunDetachedAsync(cancellationToken);
        Samples ours = new(), docker = new();
        for (var i = 0; i < options.Rounds * 3; i++)
        {
            await ours.TimeAsync(() => RunAsync(sandbox.Id, "true", cancellationToken));
            await docker.TimeAsync(() => Docker.ExecAsync(container, ["true"], cancellationToken));
        }

        await _client.Sandboxes.KillAsync(sandbox.Id, cancellationToken);
        await Docker.RemoveAllAsync(cancellationToken);
        _report.AddRatio("`commands/run` of `true`", ours, "`docker exec`", docker, 1 / 6.0);
    }

    private async Task TimeToInteractiveAsync(CancellationToken cancellationToken)
    {
        Samples ours = new(), docker = new();
        for (var i = 0; i < options.Rounds / 2; i++)
        {
            await WaitForStockAsync(cancellationToken);
            var sandbox = await ours.TimeAsync(async () =>
            {
                var created = await _client.Sandboxes.CreateAsync(Create, cancellationToken: cancellationToken);
                var command = await RunAsync(created.Id, "node -v", cancellationToken);
                return command.Stdout!.StartsWith('v') ? created : throw new InvalidOperationException("node -v printed no version.");
            });
            await KillAsync(sandbox, cancellationToken);
            await docker.TimeAsync(() => Docker.RunOnceAsync(["node", "-v"], cancellationToken));
        }

        _report.AddRatio("create, run `node -v`, read the result", ours, "`docker run --rm IMAGE node -v`", docker, 1 / 4.0);
    }

    /// <summary>The process writes its own clock; both ends share the machine's.</summary>
    private async Task FirstByteAsync(CancellationToken cancellationToken)
    {
        var sandbox = await CreateFromPoolAsync(Create, null, cancellationToken);
        var command = await _client.Commands.StartAsync(
            sandbox.Id,
            new RunCommandRequest { Command = "python3 -c 'import time\nfor i in range(100): time.sleep(0.05); print(time.time_ns(), flush=True)'" },
            cancellationToken: cancellationToken);
        var ours = new Samples();
        await foreach (var item in _client.Commands.StreamAsync(command.Id, cancellationToken: cancellationToken))
        {
            var now = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).TotalMilliseconds;
            if (item.Type == CommandStreamEventType.Log && item.Stream == OutputStream.Stdout)
            {
                ours.Add(now - long.Parse(item.Data!.Split('\n')[0], CultureInfo.InvariantCulture) / 1e6);
            }
        }

        await _client.Sandboxes.KillAsync(sandbox.Id, cancellationToken);
        _report.Add(new("output byte at an SSE client after the process wrote it", ours.ToString(), "–", "–", "under 10 ms", ours.Median < 10));
    }

    private async Task FloodAsync(CancellationToken cancellationToken)
    {
        var sandbox = await CreateFromPoolAsync(Create, null, cancellationToken);
        var container = await Docker.RunDetachedAsync(cancellationToken);
        Samples ours = new(), docker = new();
        using var memory = new MemoryWatch(options.WorkerProcessId);
        // The first floods are not timed: they meet code that is not compiled for speed yet, as the warm-up does for the other measures.
        for (var i = 0; i < 2; i++)
        {
            await RunAsync(sandbox.Id, $"head -c {FloodBytes} /dev/zero", cancellationToken);
        }

        for (var i = 0; i < 5; i++)
        {
            await ours.TimeAsync(() => RunAsync(sandbox.Id, $"head -c {FloodBytes} /dev/zero", cancellationToken));
            await docker.TimeAsync(() => Docker.ExecToNowhereAsync(container, ["head", "-c", $"{FloodBytes}", "/dev/zero"], cancellationToken));
        }

        await _client.Sandboxes.KillAsync(sandbox.Id, cancellationToken);
        await Docker.RemoveAllAsync(cancellationToken);
        double rate = FloodBytes / 1e6 / (ours.Median / 1000), dockerRate = FloodBytes / 1e6 / (docker.Median / 1000);
        var growth = memory.GrowthMiB;
        _report.Add(new(
            "stdout 500 MB, from the process to the final record",
            $"{rate:0} MB/s, worker +{growth:0} MiB",
            $"{dockerRate:0} MB/s (`docker exec`)",
            $"{rate / dockerRate:0.0} times",
            "over 300 MB/s, flat memory",
            rate > 300 && growth < 150));
    }

    private async Task ManyAtOnceAsync(CancellationToken cancellationToken)
    {
        const int sandboxes = 20, commands = 50;
        var samples = new Samples();
        var errors = 0;
        var created = await Task.WhenAll(Enumerable.Range(0, sandboxes).Select(_ =>
            _client.Sandboxes.CreateAsync(Create, cancellationToken: cancellationToken)));
        await Task.WhenAll(created.Select(async sandbox =>
        {
            for (var i = 0; i < commands; i++)
            {
                try
                {
                    var command = await samples.TimeAsync(() => RunAsync(sandbox.Id, "true", cancellationToken));
                    if (command.ExitCode != 0)
                    {
                        Interlocked.Increment(ref errors);
                    }
                }
                catch (CrowNestApiException)
                {
                    Interlocked.Increment(ref errors);
                }
            }
        }));
        await Task.WhenAll(created.Select(s => _client.Sandboxes.KillAsync(s.Id, cancellationToken)));
        _report.Add(new(
            $"{sandboxes} sandboxes at once, each {commands} times `true`",
            $"{errors} errors, median {samples.Median:0.0} ms, p99 {samples.P99:0.0} ms", "–",
            $"p99 = {samples.P99 / samples.Median:0.0} × median", "no error, p99 under 15 × median",
            errors == 0 && samples.P99 < 15 * samples.Median));
    }

    private async Task IdleMemoryAsync(CancellationToken cancellationToken)
    {
        const int sandboxes = 20;
        await WaitForStockAsync(cancellationToken);
        await WaitUntilIdleAsync(cancellationToken);
        double before = Machine.AvailableMiB(), containers = await Docker.CountAsync(cancellationToken);
        var created = await Task.WhenAll(Enumerable.Range(0, sandboxes).Select(_ =>
            _client.Sandboxes.CreateAsync(Create, cancellationToken: cancellationToken)));
        await WaitForStockAsync(cancellationToken);
        await WaitUntilIdleAsync(cancellationToken);
        var each = (before - Machine.AvailableMiB()) / (await Docker.CountAsync(cancellationToken) - containers);
        await Task.WhenAll(created.Select(s => _client.Sandboxes.KillAsync(s.Id, cancellationToken)));
        _report.Add(new("idle sandbox, node memory", $"{each:0.0} MiB", "–", "–", "under 12 MiB", each < 12));
    }

    /// <summary>Docker is not timed while the engine still removes our container, or makes the next one.</summary>
    private async Task KillAsync(Sandbox sandbox, CancellationToken cancellationToken)
    {
        await _client.Sandboxes.KillAsync(sandbox.Id, cancellationToken);
        await WaitForStockAsync(cancellationToken);
    }

    /// <summary>Measures only while the pool has stock: a refill that competes for the cores is another measure.</summary>
    private async Task<Sandbox> CreateFromPoolAsync(CreateSandboxRequest request, Samples? samples, CancellationToken cancellationToken)
    {
        await WaitForStockAsync(cancellationToken);
        return await (samples ?? new Samples()).TimeAsync(() => _client.Sandboxes.CreateAsync(request, cancellationToken: cancellationToken));
    }

    /// <summary>What a start has used is given back some seconds later: memory stands still then.</summary>
    private static async Task WaitUntilIdleAsync(CancellationToken cancellationToken)
    {
        const double stillMiB = 4;
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(4));
        var (before, now) = (double.MinValue, Machine.AvailableMiB());
        for (var looks = 0; looks < 10 && Math.Abs(now - before) > stillMiB; looks++)
        {
            await timer.WaitForNextTickAsync(cancellationToken);
            (before, now) = (now, Machine.AvailableMiB());
        }
    }

    /// <summary>The pool is full again when the number of containers stands still.</summary>
    private static async Task WaitForStockAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(150));
        var (count, still) = (-1, 0);
        while (still < 4 && await timer.WaitForNextTickAsync(cancellationToken))
        {
            var now = await Docker.CountAsync(cancellationToken);
            (count, still) = (now, now == count ? still + 1 : 0);
        }
    }

    private Task<Command> RunAsync(string sandboxId, string command, CancellationToken cancellationToken) =>
        _client.Commands.RunAsync(sandboxId, new RunCommandRequest { Command = command }, cancellationToken: cancellationToken);
}
