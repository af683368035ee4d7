using System.Diagnostics;
using Aspire.Hosting;

switch (args)
{
    // An AppHost of its own, because one that is to be killed cannot be the test process.
    case ["host", .. var rest]:
        var model = DistributedApplication.CreateBuilder(rest);
        model.AddRedis("redis");
        model.AddExecutable("sleeper", "sleep", "/", "1000");
        model.Build().Run();
        return Environment.ExitCode;

    case ["once", var code]:
        Console.WriteLine("did it once");
        return int.Parse(code);
}

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
if (args.Contains("--with-child"))
    Console.WriteLine($"child {Process.Start("sleep", "1000").Id}");

var app = builder.Build();
app.MapGet("/healthz", () => "ok");
app.MapGet("/environment/{name}", (string name) => Environment.GetEnvironmentVariable(name));
app.MapGet("/exit/{code:int}", (int code) => Environment.Exit(code));
if (args.Contains("--stubborn"))
    app.Lifetime.ApplicationStopping.Register(() => Thread.Sleep(Timeout.Infinite));
await app.RunAsync();
return 0;
