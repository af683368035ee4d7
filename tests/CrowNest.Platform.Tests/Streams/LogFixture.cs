using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Platform.Redis;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Tests.Data;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Platform.Tests.Streams;

/// <summary>A writer and a reader over real servers, each with a connection of its own.</summary>
public sealed class LogFixture(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly StoreFixture _store = new(postgres);
    private readonly string _objects = Path.Combine(Path.GetTempPath(), $"crownest-test-logs-{Guid.NewGuid():n}");
    private RedisConnection? _writing;
    private RedisConnection? _reading;

    public RedisFixture Redis { get; } = new();
    public CommandStore Commands => _store.Commands;
    public CommandLogWriter Writer { get; private set; } = null!;
    internal CommandLogReader Reader { get; private set; } = null!;
    public IObjectStore Objects { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await _store.InitializeAsync();
        await Redis.InitializeAsync();
        Objects = new FolderObjectStore(_objects, TimeProvider.System);
        _writing = Connect();
        _reading = Connect();
        Writer = new CommandLogWriter(_writing);
        Reader = NewReader(_reading);
    }

    public RedisConnection Connect() => RedisConnections.Open(Redis.ConnectionString);

    internal CommandLogReader NewReader(RedisConnection redis) => new(redis, Objects, Commands, TimeProvider.System)
    {
        PollInterval = TimeSpan.FromMilliseconds(200),
        SettleTime = TimeSpan.FromSeconds(2),
        PageSettleTime = TimeSpan.FromMilliseconds(500),
    };

    /// <summary>The row of a command that runs.</summary>
    public async Task<CommandRow> AddRunningAsync()
    {
        var tenant = await _store.AddTenantAsync();
        var command = StoreFixture.NewCommand(await _store.AddReadyAsync(tenant));
        await Commands.InsertAsync(tenant.Ownership, command, null, CancellationToken.None);
        await Commands.MarkRunningAsync(command.Id, DateTimeOffset.UtcNow, CancellationToken.None);
        return (await Commands.FindAsync(command.Id, CancellationToken.None))!;
    }

    public async Task<CommandRow> FinishAsync(CommandRow row, long lastSeq, long oldestSeq = 1) =>
        (await Commands.FinishAsync(
            row.Id,
            new CommandEnd
            {
                State = CommandStatus.Exited,
                ExitCode = 0,
                FinishedAt = DateTimeOffset.UtcNow,
                OldestSeq = lastSeq == 0 ? 0 : oldestSeq,
                LastSeq = lastSeq,
            },
            CancellationToken.None))!;

    /// <summary>Stores the log of a final command, as its worker does.</summary>
    public async Task<CommandRow> StoreAsync(CommandRow row, params LogRecord[] records)
    {
        using var log = new MemoryStream();
        foreach (var record in records)
        {
            var header = new byte[LogRecordHeader.Size];
            new LogRecordHeader(record.Payload.Length, record.Seq, record.Stream, record.CreatedAt, 0).Write(header);
            log.Write(header);
            log.Write(record.Payload.Span);
        }

        log.Position = 0;
        var key = ObjectKey.CommandLog(row.OrgId, row.Id);
        await Objects.PutAsync(key, log, log.Length, CancellationToken.None);
        await Commands.SaveLogObjectAsync(row.Id, key, CancellationToken.None);
        return (await Commands.FindAsync(row.Id, CancellationToken.None))!;
    }

    public static LogRecord Record(long seq, string text, byte stream = LogRecord.Stdout) => new()
    {
        Seq = seq,
        Stream = stream,
        CreatedAt = 1_700_000_000_000 + seq,
        Payload = Encoding.UTF8.GetBytes(text),
    };

    public static LogRecord[] Records(long from, long to) =>
        [.. Enumerable.Range((int)from, (int)(to - from + 1)).Select(seq => Record(seq, $"line {seq}\n"))];

    public async ValueTask DisposeAsync()
    {
        Reader.Dispose();
        await _writing!.DisposeAsync();
        await _reading!.DisposeAsync();
        await _store.DisposeAsync();
        await Redis.DisposeAsync();
        Directory.Delete(_objects, recursive: true);
    }
}
