using System.Net;
using CrowNest.Agent.Tests.Harness;

namespace CrowNest.Agent.Tests;

/// <summary>How many commands an agent runs and remembers, and that what it forgets is gone. Each test has an agent of its own.</summary>
public sealed class CommandQuotaTests : IAsyncLifetime
{
    private HostAgent _agent = null!;

    private AgentClient Client => _agent.Client;

    public async ValueTask InitializeAsync()
    {
        _agent = await HostAgent.StartAsync();
        await Client.ClaimAsync();
    }

    public ValueTask DisposeAsync() => _agent.DisposeAsync();

    [Fact]
    public async Task Running_AsManyAsAllowed_TheNextIsRefusedUntilOneEnds()
    {
        var ids = new List<string>();
        for (int i = 0; i < 64; i++) ids.Add(await Client.StartAsync("exec sleep 1000"));

        Assert.Equal((HttpStatusCode.TooManyRequests, "quota_exceeded"), await RefusalAsync());
        // One that runs already is not another one.
        Assert.Equal(HttpStatusCode.OK, (await Client.PostAsync(ids[0], "exec sleep 1000")).Status);

        await Client.CancelAsync(ids[0], "force");
        await EndedAsync(ids[0]);
        await Client.StartAsync("exec sleep 1000");
        Assert.Equal((HttpStatusCode.TooManyRequests, "quota_exceeded"), await RefusalAsync());
    }

    [Fact]
    public async Task Known_AsManyAsAllowed_TheNextIsRefusedUntilOneIsDeleted()
    {
        var ids = new List<string>();
        for (int i = 0; i < 256; i++)
        {
            ids.Add(await Client.StartAsync("true"));
            await EndedAsync(ids[i]);
        }

        Assert.Equal((HttpStatusCode.TooManyRequests, "quota_exceeded"), await RefusalAsync());
        Assert.Equal(HttpStatusCode.NoContent, (await Client.SendAsync(HttpMethod.Delete, $"/commands/{ids[0]}")).Status);
        await Client.StartAsync("true");
        Assert.Equal((HttpStatusCode.TooManyRequests, "quota_exceeded"), await RefusalAsync());
    }

    [Fact]
    public async Task Delete_WhileItsOutputIsBeingRead_DisconnectsTheReader()
    {
        var id = await Client.StartAsync("head -c 1000000 /dev/zero");
        await EndedAsync(id);
        // More than the connection holds, so that the agent is still sending.
        await using var reader = await Client.ReadAsync(id);

        Assert.Equal(HttpStatusCode.NoContent, (await Client.SendAsync(HttpMethod.Delete, $"/commands/{id}")).Status);

        Assert.False(await HasEndAsync(reader));
        Assert.Equal(HttpStatusCode.NotFound, (await Client.SendAsync(HttpMethod.Get, $"/commands/{id}")).Status);
    }

    /// <summary>Whether the end of the command arrives before that of the connection.</summary>
    private static async Task<bool> HasEndAsync(OutputReader reader)
    {
        try
        {
            while (await reader.NextAsync() is { } frame)
            {
                if (frame.Kind == Frame.End) return true;
            }
        }
        catch (IOException)
        {
            // Within a frame.
        }
        return false;
    }

    private Task EndedAsync(string id) => Eventually.HoldsAsync(
        async () => (await Client.StateAsync(id)).GetProperty("state").GetString() == "ended", "the command ends");

    private async Task<(HttpStatusCode Status, string Code)> RefusalAsync()
    {
        var (status, body) = await Client.PostAsync(AgentClient.NewId(), "true");
        return (status, status == HttpStatusCode.Created ? "" : AgentClient.Code(body));
    }
}
