using CrowNest.Worker;
using CrowNest.Worker.Nodes;
using Microsoft.Extensions.Options;

var builder = WebApplication.CreateBuilder([.. args.Except([NodeCleanup.Switch])]);
if (args.Contains(NodeCleanup.Switch))
{
    return await NodeCleanup.RunAsync(builder.Configuration, Console.Out, CancellationToken.None);
}

try
{
    await using var app = builder.AddWorker().Build();
    await app.MapWorker().RunAsync();
    return 0;
}
catch (OperationCanceledException)
{
    // Stopped while it still waited for the engine or the database.
    return 0;
}
catch (Exception exception) when (exception is OptionsValidationException or StartupException)
{
    await Console.Error.WriteLineAsync($"The worker cannot start. {exception.Message}");
    return 1;
}
