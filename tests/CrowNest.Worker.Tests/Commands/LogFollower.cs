using System.Text;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Database;
using CrowNest.Platform.Redis;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace CrowNest.Worker.Tests.Commands;

/// <summary>Reads a node's logs as another process does, which lives on when the node does not.</summary>
internal sealed class LogFollower : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly IHost _host;
    private readonly ICommandLogReader _reader;
    private readonly CommandStore _commands;

    public LogFollower(TestNode node)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ConnectionStrings:crownest"] = node.ConnectionString,
            ["ConnectionStrings:redis"] = node.Redis.ConnectionString,
            ["Objects:Directory"] = node.ObjectsDirectory,
        });
        builder.AddCrowNestData().AddCrowNestRedis().AddCrowNestStreams().AddCrowNestObjects();
        _host = builder.Build();
        _reader = _host.Services.GetRequiredService<ICommandLogReader>();
        _commands = _host.Services.GetRequiredService<CommandStore>();
    }

    /// <summary>Standard output from the start to the end; fails at a gap.</summary>
    public async Task<string> FollowToEndAsync(string commandId, Action<string>? seen = null)
    {
        var output = new StringBuilder();
        using var limit = new CancellationTokenSource(Patience);
        await foreach (var next in _reader.FollowAsync(await RowAsync(commandId), 0, limit.Token))
        {
            switch (next)
            {
                case LogEvent.Chunk chunk:
                    output.Append(Encoding.UTF8.GetString(chunk.Record.Payload.Span));
                    seen?.Invoke(output.ToString());
                    break;
                case LogEvent.Gap gap:
                    throw new InvalidOperationException($"Gap: {gap.Range}");
            }
        }

        return output.ToString();
    }

    /// <summary>Waits until the log begins with a text.</summary>
    public Task SeesAsync(string commandId, string text) => Eventually.HoldsAsync(
        async () => (await ReadAllAsync(commandId)).StartsWith(text, StringComparison.Ordinal), $"the log begins with {text}");

    public async Task<string> ReadAllAsync(string commandId)
    {
        var output = new StringBuilder();
        await foreach (var record in _reader.ReadAllAsync(await RowAsync(commandId), CancellationToken.None))
        {
            output.Append(Encoding.UTF8.GetString(record.Payload.Span));
        }

        return output.ToString();
    }

    /// <summary>Drops what Redis has of a log.</summary>
    public Task ForgetAsync(string commandId) => _host.Services.GetRequiredService<CommandLogWriter>().DeleteAsync(commandId);

    public ValueTask DisposeAsync()
    {
        _host.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<CommandRow> RowAsync(string commandId) => (await _commands.FindAsync(commandId, CancellationToken.None))!;
}
