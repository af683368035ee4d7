using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Docker.DotNet;
using Docker.DotNet.Models;
using Docker.DotNet.NativeHttp;
using Microsoft.Extensions.Options;
using Version = System.Version;

namespace CrowNest.Worker.Containers;

/// <summary>
/// Docker.DotNet over the engine's unix socket, and what it leaves to its caller (docs/decisions/engine-client.md): the version is
/// negotiated, every call has a limit, and every failure is an <see cref="EngineException"/>, a refusal in the engine's own words.
/// </summary>
internal sealed class EngineClient : IDisposable
{
    /// <summary>What the worker is written for; older engines are refused, newer ones asked for at least their oldest version.</summary>
    private static readonly Version WrittenFor = new(1, 41);

    private static readonly TimeSpan RemovalPoll = TimeSpan.FromMilliseconds(50);

    private readonly string _socketPath;
    private readonly DockerClient _unversioned;
    private readonly SemaphoreSlim _negotiation = new(1);
    private DockerClient? _negotiated;

    public EngineClient(IOptions<WorkerOptions> options)
    {
        _socketPath = options.Value.EngineSocket;
        _unversioned = Build(version: null);
    }

    /// <summary>A start under load takes seconds; anything longer is a hang.</summary>
    internal TimeSpan CallLimit { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>The engine answers, in a version that the worker can speak.</summary>
    public Task PingAsync(CancellationToken cancellationToken) =>
        CallAsync("_ping", (engine, token) => engine.System.PingAsync(token), cancellationToken);

    public Task<VersionResponse> GetVersionAsync(CancellationToken cancellationToken) =>
        CallAsync("version", (engine, token) => engine.System.GetVersionAsync(token), cancellationToken);

    public Task<SystemInfoResponse> GetInfoAsync(CancellationToken cancellationToken) =>
        CallAsync("info", (engine, token) => engine.System.GetSystemInfoAsync(token), cancellationToken);

    /// <summary>Images that have <paramref name="label"/> (<c>name</c> or <c>name=value</c>).</summary>
    public Task<IList<ImagesListResponse>> ListImagesAsync(string label, CancellationToken cancellationToken) => CallAsync(
        "images/json",
        (engine, token) => engine.Images.ListImagesAsync(new() { Filters = Filter(("label", [label])) }, token),
        cancellationToken);

    /// <summary>Containers in every state that have <paramref name="label"/>.</summary>
    public Task<IList<ContainerListResponse>> ListContainersAsync(string label, CancellationToken cancellationToken) => CallAsync(
        "containers/json",
        (engine, token) => engine.Containers.ListContainersAsync(new() { All = true, Filters = Filter(("label", [label])) }, token),
        cancellationToken);

    public Task<CreateContainerResponse> CreateContainerAsync(CreateContainerParameters spec, CancellationToken cancellationToken) =>
        CallAsync("containers/create", (engine, token) => engine.Containers.CreateContainerAsync(spec, token), cancellationToken);

    /// <summary>Nothing happens when it is started already.</summary>
    public Task StartContainerAsync(string id, CancellationToken cancellationToken) => CallAsync(
        $"start of {id}",
        (engine, token) => engine.Containers.StartContainerAsync(id, cancellationToken: token),
        cancellationToken);

    /// <summary>null when there is no such container.</summary>
    public async Task<ContainerInspectResponse?> FindContainerAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            return await CallAsync(
                $"inspect of {id}", (engine, token) => engine.Containers.InspectContainerAsync(id, token), cancellationToken);
        }
        catch (EngineException exception) when (exception.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    /// <summary>SIGKILL to every process of the container; nothing happens when it does not run or does not exist.</summary>
    public async Task KillContainerAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await CallAsync(
                $"kill of {id}", (engine, token) => engine.Containers.KillContainerAsync(id, new(), token), cancellationToken);
        }
        catch (EngineException exception) when (exception.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // Already ended.
        }
    }

    /// <summary>Kills and removes; returns when it is gone, also when it was gone before or someone else is removing it.</summary>
    public async Task RemoveContainerAsync(string id, CancellationToken cancellationToken)
    {
        var parameters = new ContainerRemoveParameters { Force = true, RemoveVolumes = true };
        try
        {
            await CallAsync(
                $"removal of {id}", (engine, token) => engine.Containers.RemoveContainerAsync(id, parameters, token), cancellationToken);
        }
        catch (EngineException exception) when (exception.Status == HttpStatusCode.NotFound)
        {
            // The wish of the caller is fulfilled.
        }
        catch (EngineException exception) when (exception.Status == HttpStatusCode.Conflict)
        {
            // "removal of container … is already in progress"
            await WaitUntilRemovedAsync(id, cancellationToken);
        }
    }

    /// <summary>
    /// Events of containers with <paramref name="label"/>: their end (<c>die</c>), <c>oom</c> and <c>destroy</c>. Ends with an
    /// <see cref="EngineException"/> when the engine goes away, or says what is no event.
    /// </summary>
    /// <param name="connected">Runs when the engine has begun to answer: what happens from then on is reported.</param>
    public async IAsyncEnumerable<Message> WatchContainersAsync(
        string label, Func<Task> connected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var parameters = new ContainerEventsParameters
        {
            Filters = Filter(("type", ["container"]), ("label", [label]), ("event", ["die", "oom", "destroy"])),
        };
        // The overload that it was deprecated for says nothing before the first event.
#pragma warning disable CS0618
        await using var body = await CallAsync(
            "events", (engine, token) => engine.System.MonitorEventsAsync(parameters, token), cancellationToken);
#pragma warning restore CS0618
        using var reader = new StreamReader(body);
        await connected();
        while (await ReadEventAsync(reader, cancellationToken) is { } happened)
        {
            yield return happened;
        }

        throw new EngineException("The container engine closed its stream of events.", null);
    }

    public void Dispose()
    {
        _unversioned.Dispose();
        _negotiated?.Dispose();
        _negotiation.Dispose();
    }

    private static Dictionary<string, IDictionary<string, bool>> Filter(params (string Name, string[] Values)[] filters) =>
        filters.ToDictionary(
            filter => filter.Name, filter => (IDictionary<string, bool>)filter.Values.ToDictionary(value => value, _ => true));

    private DockerClient Build(Version? version) => new DockerClientBuilder()
        // A name for the Host header. With an endpoint of its own the library does not look for DOCKER_HOST and contexts.
        .WithEndpoint(new Uri("http://engine"))
        .WithApiVersion(version)
        .WithTimeout(Timeout.InfiniteTimeSpan)
        .WithTransportOptions(new NativeHttpTransportOptions
        {
            ConfigureHandler = handler =>
            {
                handler.ConnectCallback = ConnectAsync;
                handler.UseProxy = false;
                // The library's ten would let a pool that refills keep a removal waiting.
                handler.MaxConnectionsPerServer = int.MaxValue;
            },
        })
        .Build();

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_socketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<DockerClient> NegotiateAsync(CancellationToken cancellationToken)
    {
        if (_negotiated is { } known)
        {
            return known;
        }

        await _negotiation.WaitAsync(cancellationToken);
        try
        {
            return _negotiated ??= Build(Choose(await _unversioned.System.GetVersionAsync(cancellationToken)));
        }
        finally
        {
            _negotiation.Release();
        }
    }

    private static Version Choose(VersionResponse engine)
    {
        if (!Version.TryParse(engine.APIVersion, out var newest) || newest < WrittenFor)
        {
            throw new EngineException(
                $"The container engine {engine.Version} speaks API {engine.APIVersion}; {WrittenFor} (Docker 20.10) or newer is needed.",
                null);
        }

        return Version.TryParse(engine.MinAPIVersion, out var oldest) && oldest > WrittenFor ? oldest : WrittenFor;
    }

    /// <summary>The library can wait for an end, and not for a removal.</summary>
    private async Task WaitUntilRemovedAsync(string id, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CallLimit);
        using var timer = new PeriodicTimer(RemovalPoll);
        try
        {
            while (await FindContainerAsync(id, limit.Token) is not null)
            {
                await timer.WaitForNextTickAsync(limit.Token);
            }
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw TooLate($"removal of {id}", exception);
        }
    }

    private async Task CallAsync(
        string what, Func<DockerClient, CancellationToken, Task> call, CancellationToken cancellationToken) => await CallAsync(
        what,
        async (engine, token) =>
        {
            await call(engine, token);
            return true;
        },
        cancellationToken);

    private async Task<T> CallAsync<T>(
        string what, Func<DockerClient, CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(CallLimit);
        try
        {
            return await call(await NegotiateAsync(limit.Token), limit.Token);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw TooLate(what, exception);
        }
        catch (Exception exception) when (EngineAnswers.ToEngineException(exception, _socketPath) is { } translated)
        {
            throw translated;
        }
    }

    private async Task<Message?> ReadEventAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadLineAsync(cancellationToken) is { } line ? EngineAnswers.ToEvent(line) : null;
        }
        catch (Exception exception) when (EngineAnswers.ToEngineException(exception, _socketPath) is { } translated)
        {
            throw translated;
        }
    }

    private EngineException TooLate(string what, Exception cause) =>
        new($"The container engine did not answer within {CallLimit.TotalSeconds} s: {what}", null, cause);
}
