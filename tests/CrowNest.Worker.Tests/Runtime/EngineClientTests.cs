using System.Net;
using CrowNest.Worker.Containers;
using Docker.DotNet.Models;
using Microsoft.Extensions.Options;
using Xunit;

namespace CrowNest.Worker.Tests.Runtime;

/// <summary>Against the machine's engine.</summary>
[Trait("Needs", "engine")]
public sealed class EngineClientTests : IDisposable
{
    private readonly string _label = $"crownest.test=engine-{Guid.NewGuid():n}";
    private readonly EngineClient _engine = new(Options.Create(new WorkerOptions()));

    [Fact]
    public async Task Engine_TellsOfItself()
    {
        await _engine.PingAsync(CancellationToken.None);
        Assert.NotEmpty((await _engine.GetVersionAsync(CancellationToken.None)).APIVersion);
        Assert.Contains("runc", (await _engine.GetInfoAsync(CancellationToken.None)).Runtimes.Keys);
        var images = await _engine.ListImagesAsync("crownest.template=base", CancellationToken.None);
        Assert.Contains(images, image => image.Labels!["crownest.template"] == "base");
    }

    [Fact]
    public async Task Container_FromCreateToRemove()
    {
        var created = await CreateAsync("sleep 60");
        Assert.Equal("created", Assert.Single(await ListAsync()).State);

        await _engine.StartContainerAsync(created, CancellationToken.None);
        await _engine.StartContainerAsync(created, CancellationToken.None);
        var details = await _engine.FindContainerAsync(created, CancellationToken.None);
        Assert.True(details!.State is { Running: true, Pid: > 0 });
        Assert.Equal("runc", details.HostConfig!.Runtime);

        await _engine.KillContainerAsync(created, CancellationToken.None);
        await _engine.KillContainerAsync(created, CancellationToken.None);
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _engine.RemoveContainerAsync(created, CancellationToken.None)));
        await _engine.RemoveContainerAsync(created, CancellationToken.None);

        Assert.Empty(await ListAsync());
        Assert.Null(await _engine.FindContainerAsync(created, CancellationToken.None));
    }

    /// <summary>What a spec does not name is not sent: an empty list would take the engine's own protections away.</summary>
    [Fact]
    public async Task Container_OfASpecThatDoesNotNameThem_HasTheEnginesProtections()
    {
        var created = await CreateAsync("true");

        var host = (await _engine.FindContainerAsync(created, CancellationToken.None))!.HostConfig!;

        await _engine.RemoveContainerAsync(created, CancellationToken.None);
        Assert.Contains("/proc/kcore", host.MaskedPaths);
        Assert.Contains("/proc/sys", host.ReadonlyPaths);
        Assert.False(host.Privileged);
        Assert.Equal("private", host.IpcMode);
        Assert.Equal("", host.PidMode);
        Assert.Equal("", host.UTSMode);
    }

    [Fact]
    public async Task Watch_ContainerEnds_IsTold()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var created = await CreateAsync("exit 7");
        var events = _engine.WatchContainersAsync(_label, () => _engine.StartContainerAsync(created, limit.Token), limit.Token);
        await foreach (var happened in events)
        {
            Assert.Equal(("die", created, "7"), (happened.Action, happened.Actor.ID, happened.Actor.Attributes["exitCode"]));
            break;
        }

        await _engine.RemoveContainerAsync(created, CancellationToken.None);
    }

    [Fact]
    public async Task Refusal_ComesInTheEnginesWords()
    {
        var exception = await Assert.ThrowsAsync<EngineException>(
            () => _engine.CreateContainerAsync(Spec("crownest/no-such-image", "true"), CancellationToken.None));

        Assert.Equal(HttpStatusCode.NotFound, exception.Status);
        Assert.Contains("No such image", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Engine_NotThere_IsSaidWithItsAddress()
    {
        using var engine = new EngineClient(Options.Create(new WorkerOptions { EngineSocket = "/nowhere/engine.sock" }));

        var exception = await Assert.ThrowsAsync<EngineException>(() => engine.PingAsync(CancellationToken.None));

        Assert.Null(exception.Status);
        Assert.Contains("/nowhere/engine.sock", exception.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _engine.Dispose();

    private async Task<string> CreateAsync(string command) =>
        (await _engine.CreateContainerAsync(Spec("crownest/base:latest", command), CancellationToken.None)).ID;

    private Task<IList<ContainerListResponse>> ListAsync() => _engine.ListContainersAsync(_label, CancellationToken.None);

    private CreateContainerParameters Spec(string image, string command) => new()
    {
        Name = $"crownest-test-{Guid.NewGuid():n}",
        Image = image,
        Entrypoint = ["/bin/sh", "-c"],
        Cmd = [command],
        User = "65534:65534",
        Labels = new Dictionary<string, string> { [_label.Split('=')[0]] = _label.Split('=')[1] },
        HostConfig = new()
        {
            NetworkMode = "none",
            Memory = 64 * 1024 * 1024,
            CapDrop = ["ALL"],
            SecurityOpt = ["no-new-privileges"],
            LogConfig = new() { Type = "none" },
        },
    };
}
