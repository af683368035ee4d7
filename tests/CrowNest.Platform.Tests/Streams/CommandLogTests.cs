using System.Text;
using CrowNest.Platform.Commands.Logs;
using CrowNest.Testing;
using Xunit;
using static CrowNest.Platform.Tests.Streams.LogFixture;

namespace CrowNest.Platform.Tests.Streams;

public sealed class CommandLogTests(LogFixture fixture) : IClassFixture<LogFixture>
{
    private static readonly CancellationToken None = CancellationToken.None;

    private CommandLogReader Reader => fixture.Reader;
    private CommandLogWriter Writer => fixture.Writer;

    [Fact]
    public async Task ReadAsync_Pages_AreConsecutiveAndSayWhetherThereIsMore()
    {
        var row = await fixture.AddRunningAsync();
        Assert.Empty((await Reader.ReadAsync(row, null, 10, None)).Records);
        await Writer.AppendAsync(row.Id, [Record(1, "a\0b"), Record(2, "€", LogRecord.Stderr), .. Records(3, 25)]);

        var first = await Reader.ReadAsync(row, null, 10, None);
        var second = await Reader.ReadAsync(row, 10, 15, None);
        var after = await Reader.ReadAsync(row, 25, 10, None);

        Assert.Equal(Enumerable.Range(1, 10).Select(i => (long)i), first.Records.Select(r => r.Seq));
        Assert.True(first.HasMore);
        Assert.Equal(new LogRange(1, 25), first.Range);
        Assert.Equal("a\0b"u8.ToArray(), first.Records[0].Payload.ToArray());
        Assert.Equal((LogRecord.Stderr, "€"), (first.Records[1].Stream, Encoding.UTF8.GetString(first.Records[1].Payload.Span)));
        Assert.Equal(1_700_000_000_003, first.Records[2].CreatedAt);
        Assert.Equal((15, false), (second.Records.Count, second.HasMore));
        Assert.Equal((0, false), (after.Records.Count, after.HasMore));
    }

    [Fact]
    public async Task AppendAsync_Repeated_ChangesNothing()
    {
        var row = await fixture.AddRunningAsync();
        await Writer.AppendAsync(row.Id, Records(1, 5));

        await Writer.AppendAsync(row.Id, Records(3, 7));

        var page = await Reader.ReadAsync(row, null, 100, None);
        Assert.Equal(Enumerable.Range(1, 7).Select(i => (long)i), page.Records.Select(r => r.Seq));
    }

    [Fact]
    public async Task TrimAsync_OldestRecords_AreGoneAndTheRangeSaysSo()
    {
        var row = await fixture.AddRunningAsync();
        await Writer.AppendAsync(row.Id, Records(1, 10));

        await Writer.TrimAsync(row.Id, 6);

        var range = await Reader.GetRangeAsync(row, None);
        Assert.Equal(new LogRange(6, 10), range);
        Assert.True(range.IsGapAfter(4));
        Assert.False(range.IsGapAfter(5));
        var events = await TakeAsync(Reader.FollowAsync(row, 2, None));
        Assert.Equal(6, Assert.IsType<LogEvent.Gap>(Assert.Single(events)).Range.OldestSeq);
    }

    [Fact]
    public async Task FollowAsync_WhileWritten_GivesEveryRecordOnceAndEnds()
    {
        var row = await fixture.AddRunningAsync();
        var followers = Enumerable.Range(0, 4).Select(i => TakeAsync(Reader.FollowAsync(row, i == 3 ? 100 : 0, None))).ToList();
        await Eventually.HoldsAsync(() => Reader.FollowedCommands == 1, "one subscription for all");

        for (var seq = 1; seq <= 600; seq += 3)
        {
            await Writer.AppendAsync(row.Id, Records(seq, seq + 2));
        }

        var late = TakeAsync(Reader.FollowAsync(row, null, None));
        await fixture.FinishAsync(row, 600);
        await Writer.EndAsync(row.Id, 600, null);

        foreach (var events in await Task.WhenAll([.. followers, late]).WaitAsync(TimeSpan.FromSeconds(30)))
        {
            Assert.IsType<LogEvent.End>(events[^1]);
            var seqs = events.OfType<LogEvent.Chunk>().Select(c => c.Record.Seq).ToList();
            Assert.Equal(Enumerable.Range((int)seqs[0], seqs.Count).Select(i => (long)i), seqs);
            Assert.Equal(600, seqs[^1]);
            Assert.True(seqs[0] is 1 or 101);
        }

        await Eventually.HoldsAsync(() => Reader.FollowedCommands == 0, "no subscription is left");
    }

    [Fact]
    public async Task FollowAsync_NoOutput_EndsByMarkOrByRow()
    {
        var marked = await fixture.AddRunningAsync();
        var unmarked = await fixture.AddRunningAsync();
        var first = TakeAsync(Reader.FollowAsync(marked, null, None));
        var second = TakeAsync(Reader.FollowAsync(unmarked, 0, None));

        await Writer.EndAsync(marked.Id, 0, TimeSpan.FromMinutes(1));
        var final = await fixture.FinishAsync(unmarked, 0);

        Assert.IsType<LogEvent.End>(Assert.Single(await first.WaitAsync(TimeSpan.FromSeconds(10))));
        Assert.IsType<LogEvent.End>(Assert.Single(await second.WaitAsync(TimeSpan.FromSeconds(10))));
        Assert.IsType<LogEvent.End>(Assert.Single(await TakeAsync(Reader.FollowAsync(final, null, None))));
    }

    [Fact]
    public async Task Stored_RedisHasForgotten_ReadsFromTheObject()
    {
        var row = await fixture.AddRunningAsync();
        var records = Records(1, 5000);
        var final = await fixture.StoreAsync(await fixture.FinishAsync(row, 5000), records);

        var page = await Reader.ReadAsync(final, 4990, 5, None);
        var all = await TakeAsync(Reader.FollowAsync(final, 10, None));

        Assert.Equal([4991L, 4992, 4993, 4994, 4995], page.Records.Select(r => r.Seq));
        Assert.True(page.HasMore);
        Assert.Equal(new LogRange(1, 5000), page.Range);
        Assert.Equal(4990, all.OfType<LogEvent.Chunk>().Count());
        Assert.IsType<LogEvent.End>(all[^1]);
        Assert.Equal(5000, await Reader.ReadAllAsync(final, None).CountAsync());
    }

    [Fact]
    public async Task FollowAsync_RestIsStoredMeanwhile_GoesOnInTheObject()
    {
        var row = await fixture.AddRunningAsync();
        await Writer.AppendAsync(row.Id, Records(1, 3));
        var following = TakeAsync(Reader.FollowAsync(row, 0, None));
        await Eventually.HoldsAsync(() => Reader.FollowedCommands >= 1, "it follows");

        await fixture.StoreAsync(await fixture.FinishAsync(row, 6), Records(1, 6));

        var events = await following.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal([1L, 2, 3, 4, 5, 6], events.OfType<LogEvent.Chunk>().Select(c => c.Record.Seq));
        Assert.IsType<LogEvent.End>(events[^1]);
    }

    [Fact]
    public async Task FinalLogLost_NothingHasIt_IsSaidAndNotEmpty()
    {
        var final = await fixture.FinishAsync(await fixture.AddRunningAsync(), 4);

        await Assert.ThrowsAsync<LogUnavailableException>(() => Reader.ReadAsync(final, null, 10, None));
        var events = await TakeAsync(Reader.FollowAsync(final, null, None)).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.IsType<LogEvent.Gap>(Assert.Single(events));
    }

    [Fact]
    public async Task Redis_DownAtTheStartAndBackLater_ReaderAndWriterGoOn()
    {
        var row = await fixture.AddRunningAsync();
        fixture.Redis.Stop();
        await using var connection = fixture.Connect();
        using var reader = fixture.NewReader(connection);
        var writer = new CommandLogWriter(connection);
        await Assert.ThrowsAnyAsync<Exception>(() => writer.AppendAsync(row.Id, Records(1, 1)).WaitAsync(TimeSpan.FromSeconds(10)));
        await Assert.ThrowsAsync<LogUnavailableException>(() => reader.ReadAsync(row, null, 10, None));
        var following = TakeAsync(reader.FollowAsync(row, 0, None));

        await fixture.Redis.StartAsync();
        await Eventually.HoldsAsync(() => TryAsync(() => writer.AppendAsync(row.Id, Records(1, 3))), "appends", TimeSpan.FromSeconds(30));
        await writer.EndAsync(row.Id, 3, null);

        var events = await following.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal([1L, 2, 3], events.OfType<LogEvent.Chunk>().Select(c => c.Record.Seq));
        // The fixture's own connections, too.
        await Eventually.HoldsAsync(
            () => TryAsync(async () => Assert.Equal(3, (await Reader.ReadAsync(row, null, 10, None)).Records.Count)), "reads",
            TimeSpan.FromSeconds(30));
        await Eventually.HoldsAsync(
            () => TryAsync(() => Writer.ReadRangeAsync(row.Id)), "the writer's connection", TimeSpan.FromSeconds(30));
    }

    private static async Task<bool> TryAsync(Func<Task> action)
    {
        try
        {
            await action();
            return true;
        }
        catch (Exception exception) when (exception is StackExchange.Redis.RedisException or TimeoutException or LogUnavailableException)
        {
            return false;
        }
    }

    private static async Task<List<LogEvent>> TakeAsync(IAsyncEnumerable<LogEvent> events)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        return await events.ToListAsync(limit.Token);
    }
}
