using System.Security.Cryptography;
using System.Text;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

public abstract class OutputTests(AgentFixture fixture)
{
    private const int Window = 1 << 20;

    private AgentClient Client => fixture.Agent.Client;

    [Fact]
    public async Task Output_BothStreams_ComeInOrderAndSeparately()
    {
        var outcome = await Client.RunAsync("for i in 1 2 3 4 5 6 7 8; do echo o$i; echo e$i >&2; done");

        Assert.Equal("o1\no2\no3\no4\no5\no6\no7\no8\n", outcome.Out);
        Assert.Equal("e1\ne2\ne3\ne4\ne5\ne6\ne7\ne8\n", outcome.Err);
        Assert.Equal(48, outcome.State.GetProperty("producedBytes").GetInt64());
    }

    [Fact]
    public async Task Output_Large_IsByteExact()
    {
        var outcome = await Client.RunAsync("head -c 20000000 /dev/urandom | tee copy | sha256sum >&2; cat copy; rm copy");

        Assert.Equal(20_000_000, outcome.Stdout.Length);
        Assert.StartsWith(Convert.ToHexStringLower(SHA256.HashData(outcome.Stdout)), outcome.Err);
    }

    [Fact]
    public async Task Output_WrittenJustBeforeTheEnd_IsDelivered()
    {
        for (int i = 0; i < 20; i++)
        {
            var outcome = await Client.RunAsync("head -c 60000 /dev/zero");
            Assert.Equal(60_000, outcome.Stdout.Length);
        }
    }

    [Fact]
    public async Task Output_NobodyReads_StopsAtTheWindowAndLosesNothing()
    {
        var id = await Client.StartAsync("seq 1 1000000");
        long produced = await Eventually.GivesAsync(() => ProducedAsync(id), n => n > Window * 9 / 10, "the window fills");
        Assert.True(produced <= Window);
        Assert.Equal("running", (await Client.StateAsync(id)).GetProperty("state").GetString());

        var outcome = await Client.FollowAsync(id);

        Assert.Equal(Sequence(1_000_000), outcome.Out);
        Assert.Equal(0, outcome.ExitCode);
    }

    [Fact]
    public async Task Output_MainEndsWithAFullWindow_StillEndsAndDeliversThePipe()
    {
        var id = await Client.StartAsync($"head -c {Window + 30_000} /dev/zero");
        await Eventually.HoldsAsync(
            async () => (await Client.StateAsync(id)).GetProperty("state").GetString() == "ended", "the command ends unread");

        var outcome = await Client.FollowAsync(id);

        Assert.Equal(Window + 30_000, outcome.Stdout.Length);
    }

    [Fact]
    public async Task Output_StreamsAlternateByteByByte_StaysWithinTheWindow()
    {
        var id = await Client.StartAsync("while :; do echo; echo >&2; done");
        long stable = -1;
        await Eventually.HoldsAsync(
            async () =>
            {
                long now = await ProducedAsync(id), before = stable;
                stable = now;
                return now > 50_000 && now == before;
            },
            "the window fills", TimeSpan.FromSeconds(30));
        Assert.True(stable <= Window);

        await Client.CancelAsync(id, "force");
        var outcome = await Client.FollowAsync(id);
        Assert.InRange(outcome.Stdout.Length - outcome.Stderr.Length, -200_000, 200_000);
    }

    [Fact]
    public async Task Reconnect_FromAnyOffsetMidFlood_GivesEveryByteOnce()
    {
        const int Numbers = 1_500_000;
        var id = await Client.StartAsync($"seq 1 {Numbers}");
        var received = new StringBuilder();
        var random = new Random(4711);
        long position = 0;
        for (bool ended = false; !ended;)
        {
            // Takes some frames, acknowledges only a part of what it took, and vanishes without a word.
            await using var reader = await Client.ReadAsync(id, position);
            Assert.Equal(101, reader.Status);
            for (int frames = random.Next(1, 30); frames > 0 && !ended; frames--)
            {
                var frame = (await reader.NextAsync())!;
                Assert.Equal(position, frame.Offset);
                ended = frame.Kind == Frame.End;
                if (ended) break;
                int take = random.Next(4) == 0 ? random.Next(1, frame.Payload.Length + 1) : frame.Payload.Length;
                received.Append(Encoding.ASCII.GetString(frame.Payload, 0, take));
                position += take;
                if (random.Next(3) > 0) await reader.AcknowledgeAsync(position - random.Next(0, 2));
                if (take < frame.Payload.Length) break;
            }
        }

        Assert.Equal(Sequence(Numbers), received.ToString());
        await using var last = await Client.ReadAsync(id, position);
        Assert.Equal(Frame.End, (await last.NextAsync())!.Kind);
    }

    [Fact]
    public async Task Connect_OffsetOutOfRange_IsRefused()
    {
        var id = await Client.StartAsync("echo 123456789; sleep 1000");
        await using (var reader = await Client.ReadAsync(id))
        {
            Assert.Equal(10, (await reader.NextAsync())!.Next);
            await reader.AcknowledgeAsync(6);
            await Eventually.HoldsAsync(
                async () => (await Client.StateAsync(id)).GetProperty("acknowledgedBytes").GetInt64() == 6, "the agent takes note");
        }

        await using var tooLow = await Client.ReadAsync(id, 5);
        await using var tooHigh = await Client.ReadAsync(id, 11);
        await using var exact = await Client.ReadAsync(id, 6);

        Assert.Equal((410, "stream_gap"), (tooLow.Status, Code(tooLow)));
        Assert.Equal((400, "invalid_request"), (tooHigh.Status, Code(tooHigh)));
        Assert.Equal("789\n"u8.ToArray(), (await exact.NextAsync())!.Payload);
        await Client.CancelAsync(id, "force");
    }

    [Fact]
    public async Task Connect_Again_ReplacesTheOlderConnection()
    {
        var id = await Client.StartAsync("echo one; sleep 1000");
        await using var first = await Client.ReadAsync(id);
        Assert.NotNull(await first.NextAsync());

        await using var second = await Client.ReadAsync(id);

        Assert.Null(await first.NextAsync());
        Assert.Equal("one\n"u8.ToArray(), (await second.NextAsync())!.Payload);
        await Client.CancelAsync(id, "force");
        Assert.Equal(Frame.End, (await second.NextAsync())!.Kind);
    }

    [Fact]
    public async Task Connect_WithoutUpgrade_IsRefused()
    {
        var id = await Client.StartAsync("true");
        var (_, body) = await Client.SendAsync(HttpMethod.Get, $"/commands/{id}/output?from=0");

        Assert.Equal("invalid_request", AgentClient.Code(body));
    }

    [Fact]
    public async Task Acknowledge_MoreThanWasSent_ClosesTheConnectionAndNothingElse()
    {
        var id = await Client.StartAsync("echo one; sleep 1000");
        await using (var reader = await Client.ReadAsync(id))
        {
            Assert.NotNull(await reader.NextAsync());
            await reader.AcknowledgeAsync(1_000_000);
            Assert.Null(await reader.NextAsync());
        }

        Assert.Equal(0, (await Client.StateAsync(id)).GetProperty("acknowledgedBytes").GetInt64());
        await Client.CancelAsync(id, "force");
        Assert.Equal("one\n", (await Client.FollowAsync(id)).Out);
    }

    [Fact]
    public async Task End_NotAcknowledged_KeepsOutputForTheNextConnection()
    {
        var id = await Client.StartAsync("echo kept");
        for (int i = 0; i < 3; i++)
        {
            await using var reader = await Client.ReadAsync(id);
            Assert.Equal("kept\n"u8.ToArray(), (await reader.NextAsync())!.Payload);
            Assert.Equal(Frame.End, (await reader.NextAsync())!.Kind);
        }

        Assert.Equal("kept\n", (await Client.FollowAsync(id)).Out);
    }

    [Fact]
    public async Task ClientVanishes_CommandGoesOnToItsEnd()
    {
        var id = await Client.StartAsync($"for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; touch finished-$$; exit 9");
        await using (var reader = await Client.ReadAsync(id)) await reader.NextAsync();

        await Eventually.HoldsAsync(
            async () => (await Client.StateAsync(id)).GetProperty("state").GetString() == "ended", "the command ends");
        var outcome = await Client.FollowAsync(id);

        Assert.Equal(9, outcome.ExitCode);
        Assert.Equal("1\n2\n3\n4\n5\n", outcome.Out);
    }

    private static string Sequence(int to)
    {
        var text = new StringBuilder();
        for (int i = 1; i <= to; i++) text.Append(i).Append('\n');
        return text.ToString();
    }

    private static string Code(OutputReader reader) =>
        AgentClient.Code(System.Text.Json.JsonSerializer.Deserialize<System.Text.Json.JsonElement>(reader.Body));

    private async Task<long> ProducedAsync(string id) => (await Client.StateAsync(id)).GetProperty("producedBytes").GetInt64();
}

public sealed class HostOutputTests(HostFixture fixture) : OutputTests(fixture), IClassFixture<HostFixture>;

[Trait("Needs", "engine")]
public sealed class ContainerOutputTests(ContainerFixture fixture) : OutputTests(fixture), IClassFixture<ContainerFixture>;
