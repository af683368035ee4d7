using System.Net;
using System.Net.Sockets;

namespace CrowNest.AppHost;

/// <summary>What must be on the machine before the stack can start.</summary>
internal static class Prerequisites
{
    private const string DefaultEngineSocket = "/var/run/docker.sock";

    private static readonly TimeSpan EngineTimeout = TimeSpan.FromSeconds(10);
    private static readonly string[] TemplateImages = ["crownest/base", "crownest/python", "crownest/node", "crownest/python-node"];

    /// <summary>Writes what is missing, each with the command that brings it; false when something is.</summary>
    public static bool Check(IDistributedApplicationBuilder builder, TextWriter output)
    {
        var missing = FindMissing(
            builder.Configuration["Worker:AgentDirectory"] ?? Checkout.Of(builder).Agent,
            builder.Configuration["Worker:EngineSocket"] ?? DefaultEngineSocket);
        if (missing.Count == 0)
            return true;
        output.WriteLine("CrowNest cannot start. Missing:");
        foreach (var (what, bring) in missing)
            output.WriteLine($"  - {what}\n      bring it with: {bring}");
        return false;
    }

    private static List<(string What, string Bring)> FindMissing(string agentFolder, string engineSocket)
    {
        var missing = new List<(string, string)>();
        missing.AddRange(Flavour.FindMissing());
        missing.AddRange(FindMissingImagesAsync(engineSocket).GetAwaiter().GetResult());
        foreach (var program in new[] { "crownest-agent", "crownest-launch" })
        {
            var path = Path.Combine(agentFolder, program);
            if (!File.Exists(path))
                missing.Add(($"the sandbox agent ({path})", "eng/build-agent.sh"));
        }
        return missing;
    }

    private static async Task<IReadOnlyList<(string, string)>> FindMissingImagesAsync(string socket)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
                return new NetworkStream(connection, ownsSocket: true);
            },
        };
        using var engine = new HttpClient(handler);
        engine.BaseAddress = new Uri("http://engine");
        engine.Timeout = EngineTimeout;
        try
        {
            using var ping = await engine.GetAsync("/_ping");
            ping.EnsureSuccessStatusCode();
            var missing = new List<(string, string)>();
            foreach (var image in TemplateImages)
            {
                using var inspected = await engine.GetAsync($"/images/{image}:latest/json");
                if (inspected.StatusCode == HttpStatusCode.NotFound)
                    missing.Add(($"the template image {image}", "eng/templates.sh"));
                else
                    inspected.EnsureSuccessStatusCode();
            }
            return missing;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            return [($"a container engine on {socket} ({exception.Message})", "eng/engine.sh")];
        }
    }
}
