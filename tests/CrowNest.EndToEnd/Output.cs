using System.Text;
using CrowNest.Client;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>Follows a command and checks what every follower is promised: contiguous numbers, nothing twice, one end.</summary>
internal sealed record Output(string Stdout, string Stderr, Command Final)
{
    public static async Task<Output> FollowAsync(CrowNestClient client, string commandId, Action<long>? seen = null, long? afterSeq = null)
    {
        StringBuilder stdout = new(), stderr = new();
        var expected = (afterSeq ?? 0) + 1;
        Command? final = null;
        await foreach (var item in client.Commands.StreamAsync(commandId, new CommandStreamOptions { AfterSeq = afterSeq }))
        {
            Assert.Null(final);
            if (item.Type == CommandStreamEventType.Log)
            {
                Assert.Equal(expected++, item.Seq);
                (item.Stream == OutputStream.Stdout ? stdout : stderr).Append(item.Data);
                seen?.Invoke(item.Seq!.Value);
            }
            else
            {
                Assert.True(item.Type == CommandStreamEventType.Terminal, $"{item.Type} {item.Code}: {item.Message}");
                final = item.Command;
            }
        }

        Assert.NotNull(final);
        return new Output(stdout.ToString(), stderr.ToString(), final);
    }
}
