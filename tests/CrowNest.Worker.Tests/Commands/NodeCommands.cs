using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using CrowNest.Worker.Agents;
using Xunit;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>Commands of a <see cref="TestNode"/>, as the API would ask for them.</summary>
internal static class NodeCommands
{
    public static readonly Ownership Owner = new("org_test", null);

    /// <summary>Writes the row, as the API does before it asks the worker.</summary>
    public static async Task<StartCommand> AddCommandAsync(
        this TestNode node, string sandboxId, string command, long? timeoutMs = null, string cwd = Limits.Workspace, long waitMs = 60_000,
        CollectPlan? collect = null)
    {
        var row = new NewCommand
        {
            Id = Ids.New(Ids.Command),
            SandboxId = sandboxId,
            Command = command,
            Cwd = cwd,
            TimeoutMs = timeoutMs,
            CreatedAt = DateTimeOffset.UtcNow,
            Collect = collect,
        };
        var insert = await new CommandStore(node.Database).InsertAsync(Owner, row, null, CancellationToken.None);
        Assert.True(insert?.Added, "the sandbox is not ready");
        return new StartCommand
        {
            CommandId = row.Id,
            SandboxId = sandboxId,
            Command = command,
            Cwd = cwd,
            TimeoutMs = timeoutMs,
            WaitMs = waitMs,
        };
    }

    public static async Task<CommandRow> PostAsync(this TestNode node, StartCommand request)
    {
        using var response = await node.Http.PostAsJsonAsync("/internal/commands", request);
        return await ReadAsync(response);
    }

    /// <summary>Runs a command to its end.</summary>
    public static async Task<CommandRow> RunAsync(
        this TestNode node, string sandboxId, string command, long? timeoutMs = null, string cwd = Limits.Workspace) =>
        await node.PostAsync(await node.AddCommandAsync(sandboxId, command, timeoutMs, cwd));

    /// <summary>Starts a command and does not wait for its end.</summary>
    public static async Task<CommandRow> BeginAsync(this TestNode node, string sandboxId, string command) =>
        await node.PostAsync(await node.AddCommandAsync(sandboxId, command, waitMs: 0));

    public static async Task<CommandRow> CancelAsync(this TestNode node, string commandId, string mode)
    {
        using var response = await node.Http.PostAsJsonAsync($"/internal/commands/{commandId}/cancel", new CancelCommand(mode));
        return await ReadAsync(response);
    }

    public static AgentClient Agent(this TestNode node, string sandboxId) =>
        node.Live.TryGet(sandboxId, out var sandbox) ? sandbox.Agent : throw new InvalidOperationException("The sandbox is not live.");

    public static async Task<CommandRow> CommandRowAsync(this TestNode node, string commandId) =>
        (await new CommandStore(node.Database).FindAsync(commandId, CancellationToken.None))!;

    public static Task<CommandRow> CommandBecomesAsync(this TestNode node, string commandId, Func<CommandRow, bool> accept, string what) =>
        Eventually.GivesAsync(() => node.CommandRowAsync(commandId), accept, what, TimeSpan.FromSeconds(30));

    public static string Text(byte[]? output) => Encoding.UTF8.GetString(output!);

    private static async Task<CommandRow> ReadAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{(int)response.StatusCode} {body}");
        return JsonSerializer.Deserialize<CommandOutcome>(body, JsonSerializerOptions.Web)!.Command;
    }
}
