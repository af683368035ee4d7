using System.Text;
using CrowNest.Client;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>Follows a command and checks what every follower is promised: contiguous numbers, nothing twice, one end.</summary>
internal sealed record Output(string Stdout, string Stderr, Command Final)
{
    /// <param name="reconnect">Waits until the API is back when the client gave up on it; then the following goes on where it was.</param>
    public static async Task<Output> FollowAsync(
        CrowNestClient client, string commandId, Action<long>? seen = null, Func<Task>? reconnect = null)
    {
        StringBuilder stdout = new(), stderr = new();
        var last = 0L;
        Command? final = null;
        while (final is null)
        {
            try
            {
                await foreach (var item in client.Commands.StreamAsync(commandId, new CommandStreamOptions { AfterSeq = last }))
                {
                    Assert.Null(final);
                    if (item.Type == CommandStreamEventType.Log)
                    {
                        Assert.Equal(++last, item.Seq);
                        (item.Stream == OutputStream.Stdout ? stdout : stderr).Append(item.Data);
                        seen?.Invoke(last);
                    }
                    else
                    {
                        Assert.True(item.Type == CommandStreamEventType.Terminal, $"{item.Type} {item.Code}: {item.Message}");
                        final = item.Command;
                    }
                }

                Assert.NotNull(final);
            }
            catch (CrowNestApiException exception) when (!exception.IsApiAnswer && reconnect is not null)
            {
                await reconnect();
            }
        }

        return new Output(stdout.ToString(), stderr.ToString(), final);
    }
}
