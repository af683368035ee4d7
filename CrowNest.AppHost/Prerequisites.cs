using System.Net;
using System.Net.Sockets;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace CrowNest.AppHost;

/// <summary>What must be on the machine before the stack can start.</summary>
internal static class Prerequisites
{
    private static readonly TimeSpan EngineTimeout = TimeSpan.FromSeconds(10);
    private static readonly string[] AgentPrograms = ["crownest-agent", "crownest-launch"];
    private static readonly string[] TemplateImages = ["crownest/base", "crownest/python", "crownest/node", "crownest/python-node"];

    /// <summary>
    /// Looks for everything before anything starts. What is missing is told on the console, each with the command that brings it: a resource that
    /// cannot start is otherwise told in Aspire's dashboard only.
    /// </summary>
    /// <exception cref="DistributedApplicationException">Something is missing; the message lists it.</exception>
    public static async Task RequireAsync(IDistributedApplicationBuilder builder, Stack stack)
    {
        var missing = new List<(string What, string Bring)>();
        missing.AddRange(AgentPrograms.Select(program => Path.Combine(builder.Configuration["Worker:AgentDirectory"] ?? stack.AgentDirectory, program))
            .Where(path => !File.Exists(path)).Select(path => ($"the sandbox agent ({path})", "eng/build-agent.sh")));
        missing.AddRange(builder.Resources.OfType<ServiceResource>().Where(service => !File.Exists(service.Command))
            .Select(service => ($"the program of the {service.Name} ({service.Command})", "eng/build.sh")));

        var socket = builder.Configuration["Worker:EngineSocket"] ?? "/var/run/docker.sock";
        using var engine = new DockerClientBuilder().WithEndpoint(new Uri($"unix://{socket}")).WithTimeout(EngineTimeout).Build();
        try
        {
            await engine.System.PingAsync();
            missing.AddRange(await FindMissingImagesAsync(engine, builder));
            if (missing.Count == 0)
                await Leftovers.ClearAsync(engine, stack, Console.Out);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or TimeoutException or OperationCanceledException or DockerApiException)
        {
            missing.Add(($"a container engine on {socket} ({exception.Message})", "eng/engine.sh"));
        }
        missing.AddRange(FindTakenPorts(builder));
        if (missing.Count > 0)
        {
            throw new DistributedApplicationException(
                "Missing:" + string.Concat(missing.Select(item => $"\n  - {item.What}\n      bring it with: {item.Bring}")));
        }
    }

    private static async Task<List<(string, string)>> FindMissingImagesAsync(DockerClient engine, IDistributedApplicationBuilder builder)
    {
        var missing = new List<(string, string)>();
        foreach (var image in TemplateImages)
        {
            if (await FindImageAsync(engine, $"{image}:latest") is null)
                missing.Add(($"the template image {image}", "eng/images.sh"));
        }
        foreach (var container in builder.Resources.OfType<ContainerResource>())
        {
            var image = container.Annotations.OfType<ContainerImageAnnotation>().Last();
            // What comes from a registry is pulled when it starts.
            if (!image.Image.StartsWith("crownest/", StringComparison.Ordinal))
                continue;
            var name = $"{image.Image}:{image.Tag}";
            if (await FindImageAsync(engine, name) is { } found)
                await Console.Out.WriteLineAsync($"{container.Name}: {name}, from {Origin(found)}");
            else
                missing.Add(($"the image {name}", $"eng/images.sh {container.Name}"));
        }
        return missing;
    }

    private static IEnumerable<(string, string)> FindTakenPorts(IDistributedApplicationBuilder builder) =>
        from resource in builder.Resources.OfType<IResourceWithEndpoints>()
        from endpoint in resource.Annotations.OfType<EndpointAnnotation>()
        where endpoint is { IsProxied: false, Port: not null } && IsTaken(endpoint.Port.Value)
        select ($"a free port for the {resource.Name}: {endpoint.Port} is taken",
            $"CROWNEST_{resource.Name.ToUpperInvariant()}_PORT=..., or stop who has it (ss -ltnp 'sport = :{endpoint.Port}')");

    private static bool IsTaken(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            return false;
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return true;
        }
    }

    private static string Origin(ImageInspectResponse image) =>
        image.Config?.Labels is { } labels && labels.TryGetValue("crownest.image.from", out var from) ? from : "a container registry";

    private static async Task<ImageInspectResponse?> FindImageAsync(DockerClient engine, string name)
    {
        try
        {
            return await engine.Images.InspectImageAsync(name);
        }
        catch (DockerImageNotFoundException)
        {
            return null;
        }
    }
}
