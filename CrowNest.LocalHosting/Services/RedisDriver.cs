using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;

namespace Aspire.Hosting.Services;

/// <summary>Runs the installed Redis without persistence: what must last is in Postgres and the object store.</summary>
internal sealed class RedisDriver(RedisResource redis, LocalHostingOptions options, StateFolder state) : ResourceDriver
{
    public const string Program = "redis-server";

    private string Home => redis.Annotations.OfType<DataFolderAnnotation>().LastOrDefault()?.Path ?? state.Combine(redis.Name);

    public override bool IsService => true;

    public override async Task<ProcessSpec> PrepareAsync(CancellationToken cancellationToken)
    {
        RequireFreePorts(redis);
        Directory.CreateDirectory(Home);
        // A file and no arguments: everybody on the machine sees the arguments of a process.
        var password = await PasswordAsync(cancellationToken);
        var configuration = Path.Combine(Home, "redis.conf");
        StateFolder.WritePrivateFile(
            configuration,
            string.Create(
                CultureInfo.InvariantCulture,
                $"""
                 bind {EndpointAnnotation.Loopback}
                 port {redis.PrimaryEndpoint.Port}
                 requirepass {Quote(password)}
                 dir {Quote(Home)}
                 appendonly no
                 save ""
                 daemonize no

                 """));
        return new ProcessSpec(Program, [configuration], Home) { StopGrace = options.BackingServiceStopGrace };
    }

    public override async Task<string?> ProbeAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(EndpointAnnotation.Loopback, redis.PrimaryEndpoint.Port, cancellationToken);
            var password = await PasswordAsync(cancellationToken);
            var stream = client.GetStream();
            await using (stream.ConfigureAwait(false))
            {
                var request = $"*2\r\n$4\r\nAUTH\r\n${Encoding.UTF8.GetByteCount(password)}\r\n{password}\r\n*1\r\n$4\r\nPING\r\n";
                await stream.WriteAsync(Encoding.UTF8.GetBytes(request), cancellationToken);
                using var reader = new StreamReader(stream);
                var authenticated = await reader.ReadLineAsync(cancellationToken);
                var answer = await reader.ReadLineAsync(cancellationToken);
                return authenticated == "+OK" && answer == "+PONG" ? null : $"answers {authenticated} {answer}";
            }
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            return exception.Message;
        }
    }

    private async Task<string> PasswordAsync(CancellationToken cancellationToken) =>
        await redis.PasswordParameter.GetValueAsync(cancellationToken) ?? "";

    private static string Quote(string value) => "\"" + value.Replace("\\", "\\\\").Replace("\"", "\\\"") + "\"";
}
