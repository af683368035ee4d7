using CrowNest.Bench;

// Measures a running stack beside plain Docker on the same machine; bench/run.sh starts the stack and calls this.
var options = BenchOptions.Parse(args);
if (options is null)
{
    await Console.Error.WriteLineAsync(BenchOptions.Usage);
    return 2;
}

using var cancel = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    cancel.Cancel();
};

using var benchmark = new Benchmark(options);
var report = await benchmark.RunAsync(cancel.Token);
await report.WriteAsync(options.ResultsDirectory, cancel.Token);
return report.Rows.All(r => r.Reached) ? 0 : 1;
