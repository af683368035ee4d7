using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using CrowNest.Worker.Tests.Agents;
using CrowNest.Worker.Tests.Files;
using Microsoft.AspNetCore.Http;
using Xunit;
using static CrowNest.Worker.Tests.Files.FileNode;

namespace CrowNest.Worker.Tests.Artifacts;

/// <summary>docs/protocols.md 3, <c>artifacts</c>: a file becomes an object and a row, or neither.</summary>
public sealed class ArtifactExportTests(BackingServices backing)
{
    private const long MaxBytes = 1L << 30;
    private static readonly Ownership Owner = new("org_test", null);

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(20 * 1024 * 1024 + 1)]
    public async Task Store_File_IsObjectAndRow(int size)
    {
        await using var node = await StartAsync(backing);
        var content = RandomNumberGenerator.GetBytes(size);
        await using var agent = await FakeAgent.StartAsync(content, "/workspace/target.bin");
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);

        var row = await ReadAsync<ArtifactRow>(PostAsync(node, sandbox, request));

        Assert.Equal(
            (ArtifactStates.Stored, size, Convert.ToHexStringLower(SHA256.HashData(content)), "/workspace/target.bin"),
            (row.State, row.SizeBytes, row.Sha256, row.SourcePath));
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(node.ObjectsDirectory, request.ObjectKey)));
        Assert.Equal("GET /files/content?path=a%20b%2Bc&maxBytes=1073741824", Assert.Single(agent.Requests));
        Assert.Equal(row.Id, Assert.Single(await ListAsync(node)).Id);
    }

    [Fact]
    public async Task Store_Again_IsTheSameArtifact()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync([1, 2, 3]);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);

        var both = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => ReadAsync<ArtifactRow>(PostAsync(node, sandbox, request))));
        var later = await ReadAsync<ArtifactRow>(PostAsync(node, sandbox, request));

        Assert.Equal(both[0].Sha256, both[1].Sha256);
        Assert.Equal((both[0].Id, both[0].CreatedAt), (later.Id, later.CreatedAt));
        Assert.Single(agent.Requests);
    }

    [Theory]
    [InlineData(ErrorCodes.FileNotFound, 404)]
    [InlineData(ErrorCodes.PathIsDirectory, 400)]
    [InlineData(ErrorCodes.PathOutsideWorkspace, 400)]
    [InlineData(ErrorCodes.FileTooLarge, 413)]
    [InlineData("made_up", 500)]
    public async Task Store_AgentRefuses_LeavesNothing(string code, int status)
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(context => FakeAgent.ErrorAsync(context, 400, code));
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);

        var error = await ErrorAsync(PostAsync(node, sandbox, request));

        Assert.Equal((status, code == "made_up" ? ErrorCodes.RuntimeError : code), (error.Status, error.Code));
        await LeftNothingAsync(node, request);
    }

    public static TheoryData<string, string, bool> BadFiles => new()
    {
        { "breaks off", "X-File-Size: 3\r\nContent-Length: 3\r\n\r\nab", true },
        { "stalls", "X-File-Size: 3\r\nContent-Length: 3\r\n\r\nab", false },
        { "longer than it said", "X-File-Size: 3\r\nContent-Length: 4\r\n\r\nabcd", true },
        { "larger than allowed", "X-File-Size: 2000000000\r\nContent-Length: 4\r\n\r\nabcd", false },
        { "no size", "Content-Length: 3\r\n\r\nabc", true },
    };

    [Theory]
    [MemberData(nameof(BadFiles))]
    public async Task Store_HostileAgent_LeavesNothing(string what, string answer, bool closes)
    {
        await using var node = await StartAsync(backing);
        using var agent = new HostileAgent(
            Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nX-File-Path: %2Fworkspace%2Fa\r\nX-File-Modified: 1\r\n{answer}"), closes);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);

        var error = await ErrorAsync(PostAsync(node, sandbox, request));

        Assert.True((500, ErrorCodes.RuntimeError) == (error.Status, error.Code), $"{what}: {error}");
        await LeftNothingAsync(node, request);
    }

    [Fact]
    public async Task Store_FileShrinksMeanwhile_IsWhatWasStored()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, 1000);
            await context.Response.WriteAsync("short");
        });
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);

        var row = await ReadAsync<ArtifactRow>(PostAsync(node, sandbox, request));

        Assert.Equal((5, Convert.ToHexStringLower(SHA256.HashData("short"u8))), (row.SizeBytes, row.Sha256));
    }

    [Fact]
    public async Task Store_ObjectStoreAway_FailsClearlyAndARetryWorks()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync([1, 2, 3]);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var blocker = Path.Combine(node.ObjectsDirectory, "artifacts");
        await File.WriteAllTextAsync(blocker, "not a folder");

        var error = await ErrorAsync(PostAsync(node, sandbox, request));

        Assert.Equal((502, ErrorCodes.DownloadExportFailed), (error.Status, error.Code));
        Assert.DoesNotContain(node.ObjectsDirectory, error.Message, StringComparison.Ordinal);
        Assert.Empty(await ListAsync(node));
        File.Delete(blocker);
        var again = await AddRowAsync(node, sandbox);
        Assert.Equal(3, (await ReadAsync<ArtifactRow>(PostAsync(node, sandbox, again))).SizeBytes);
    }

    [Fact]
    public async Task Store_SandboxEndsMidway_IsDestroyedAndLeavesNothing()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(HalfAFileAsync);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var call = PostAsync(node, sandbox, request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        await node.EndSandboxAsync(sandbox);

        var error = await ErrorAsync(call);
        Assert.Equal((410, ErrorCodes.SandboxDestroyed), (error.Status, error.Code));
        await LeftNothingAsync(node, request);
    }

    [Fact]
    public async Task Store_CallerLeaves_GoesOn()
    {
        await using var node = await StartAsync(backing);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, 3);
            await context.Response.StartAsync();
            await goOn.Task;
            await context.Response.WriteAsync("abc");
        });
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        using var leave = new CancellationTokenSource();
        var call = node.Http.PostAsJsonAsync($"/internal/sandboxes/{sandbox}/artifacts", request, leave.Token);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        goOn.SetResult();

        await Eventually.HoldsAsync(
            async () => (await ListAsync(node)).Count == 1, "it is stored");
    }

    [Fact]
    public async Task Stop_MidwayOfAnExport_LeavesNothing()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(HalfAFileAsync);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var call = PostAsync(node, sandbox, request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        await node.StopAsync().WaitAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(ErrorCodes.RuntimeError, (await ErrorAsync(call)).Code);
        await LeftNothingAsync(node, request);
    }

    [Fact]
    public async Task Crash_MidwayOfAnExport_ListsNothing()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync(HalfAFileAsync);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var call = PostAsync(node, sandbox, request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        await node.CrashAsync();

        await Assert.ThrowsAnyAsync<Exception>(() => call);
        Assert.Empty(await ListAsync(node));
        Assert.False(File.Exists(Path.Combine(node.ObjectsDirectory, request.ObjectKey)));
    }

    [Fact]
    public async Task Store_DatabaseAwayAtTheEnd_IsStoredWhenItIsBack()
    {
        await using var node = await StartAsync(backing);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, 3);
            await context.Response.StartAsync();
            await goOn.Task;
            await context.Response.WriteAsync("abc");
        });
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var call = PostAsync(node, sandbox, request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        node.Relay.Cut();
        goOn.SetResult();
        await Eventually.HoldsAsync(
            () => File.Exists(Path.Combine(node.ObjectsDirectory, request.ObjectKey)), "the object is there");
        node.Relay.Restore();

        Assert.Equal(ArtifactStates.Stored, (await ReadAsync<ArtifactRow>(call)).State);
    }

    [Fact]
    public async Task Store_UnknownRowOrSandbox_IsNotFound()
    {
        await using var node = await StartAsync(backing);
        await using var agent = await FakeAgent.StartAsync([1]);
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var other = await node.AddSandboxAsync(agent.SocketPath);

        Assert.Equal(404, (await ErrorAsync(PostAsync(node, sandbox, request with { ArtifactId = "art_unknown" }))).Status);
        Assert.Equal(404, (await ErrorAsync(PostAsync(node, other, request))).Status);
        Assert.Equal(404, (await ErrorAsync(PostAsync(node, sandbox, request with { ObjectKey = "artifacts/other" }))).Status);
        Assert.Empty(agent.Requests);
        Assert.Equal(404, (await ErrorAsync(PostAsync(node, "sbx_unknown", request))).Status);
        Assert.Null(await node.Artifacts.FindAsync(request.ArtifactId, CancellationToken.None));
    }

    [Fact]
    public async Task Store_GivenUpMeanwhile_IsNotFoundAndLeavesNoObject()
    {
        await using var node = await StartAsync(backing);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var agent = await FakeAgent.StartAsync(async context =>
        {
            FakeAgent.DescribeFile(context.Response, 3);
            await context.Response.StartAsync();
            await goOn.Task;
            await context.Response.WriteAsync("abc");
        });
        var (sandbox, request) = await AnnounceAsync(node, agent.SocketPath);
        var call = PostAsync(node, sandbox, request);
        await Eventually.HoldsAsync(() => agent.Requests.Count == 1, "the agent is asked");

        var later = DateTimeOffset.UtcNow.AddHours(1);
        Assert.Single(await node.Artifacts.TakeRemovableAsync(later, later, 10, CancellationToken.None));
        goOn.SetResult();

        Assert.Equal(404, (await ErrorAsync(call)).Status);
        Assert.False(File.Exists(Path.Combine(node.ObjectsDirectory, request.ObjectKey)));
    }

    private static async Task HalfAFileAsync(HttpContext context)
    {
        FakeAgent.DescribeFile(context.Response, 1_000_000);
        await context.Response.Body.WriteAsync(new byte[500_000]);
        using var drips = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (await drips.WaitForNextTickAsync(context.RequestAborted))
        {
            await context.Response.Body.WriteAsync(new byte[1]);
        }
    }

    private static async Task<(string Sandbox, StoreArtifact Request)> AnnounceAsync(FileNode node, string socketPath)
    {
        var sandbox = await node.AddSandboxAsync(socketPath);
        return (sandbox, await AddRowAsync(node, sandbox));
    }

    /// <summary>The row that the API writes first.</summary>
    private static async Task<StoreArtifact> AddRowAsync(FileNode node, string sandbox)
    {
        var id = Ids.New(Ids.Artifact);
        var row = new NewArtifact
        {
            Id = id,
            SandboxId = sandbox,
            Name = "file.bin",
            ObjectKey = ObjectKey.Artifact("org_test", id),
            ContentType = "application/octet-stream",
            CreatedAt = DateTimeOffset.UtcNow,
            RetentionExpiresAt = DateTimeOffset.UtcNow.AddDays(1),
        };
        Assert.True((await node.Artifacts.InsertAsync(Owner, row, null, null, CancellationToken.None))!.Added);
        return new StoreArtifact(id, row.ObjectKey, "a b+c", MaxBytes);
    }

    private static Task<HttpResponseMessage> PostAsync(FileNode node, string sandbox, StoreArtifact request) =>
        node.Http.PostAsJsonAsync($"/internal/sandboxes/{sandbox}/artifacts", request);

    private static Task<List<ArtifactRow>> ListAsync(FileNode node) => node.Artifacts.ListAsync(
        Owner, new ArtifactFilter { Limit = 10 }, DateTimeOffset.UtcNow, CancellationToken.None);

    private static async Task LeftNothingAsync(FileNode node, StoreArtifact request)
    {
        Assert.Null(await node.Artifacts.FindAsync(request.ArtifactId, CancellationToken.None));
        Assert.False(File.Exists(Path.Combine(node.ObjectsDirectory, request.ObjectKey)));
        Assert.Empty(Directory.GetFiles(Path.Combine(node.ObjectsDirectory, ".unfinished")));
    }
}
