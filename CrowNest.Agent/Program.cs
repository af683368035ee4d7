using CrowNest.Agent;
using CrowNest.Agent.Processes;

if (!AgentOptions.TryParse(args, out var options, out var problem))
{
    Console.Error.WriteLine($"crownest-agent: {problem}");
    return 64;
}

try
{
    AgentProcess.Prepare(options);
    await using var app = AgentHost.Build(options);
    await app.RunAsync();
    return 0;
}
catch (IOException e)
{
    Console.Error.WriteLine($"crownest-agent: {e.Message}");
    return 71;
}
