using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Tenancy;
using CrowNest.Testing;
using Xunit;
using static CrowNest.Worker.Tests.Files.FileNode;

namespace CrowNest.Worker.Tests.Files;

/// <summary>Files of real sandboxes: worker, agent and launcher as they run.</summary>
[Trait("Needs", "engine")]
public sealed class SandboxFileTests(BackingServices backing)
{
    private static readonly Ownership Owner = new("org_test", null);

    [Fact]
    public async Task Files_EachRoute_WorksOnARealSandbox()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();
        var content = RandomNumberGenerator.GetBytes(300_000);

        var written = await ReadAsync<AgentFile>(
            node.Http.PutAsync(FilesOf(id, "/content?path=a/b%20%E2%82%AC.bin&createParents=true"), new ByteArrayContent(content)));
        Assert.Equal(("/workspace/a/b €.bin", 300_000, "file"), (written.Path, written.SizeBytes, written.Type));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(content)), written.Sha256);
        Assert.Equal(content, await node.Http.GetByteArrayAsync(FilesOf(id, "/content?path=/workspace/a/b%20%E2%82%AC.bin")));

        var list = await ReadAsync<AgentFileList>(node.Http.GetAsync(FilesOf(id, "?path=/workspace&depth=2")));
        Assert.Equal(["/workspace/a", "/workspace/a/b €.bin"], list.Entries.Select(e => e.Path));
        await ReadAsync<AgentFile>(node.Http.PostAsJsonAsync(FilesOf(id, "/mkdir"), new { path = "c", parents = false }));
        await ReadAsync<AgentFile>(
            node.Http.PostAsJsonAsync(FilesOf(id, "/move"), new { from = "a/b €.bin", to = "c/d.bin", overwrite = false }));
        var archive = await node.Http.GetByteArrayAsync(FilesOf(id, "/archive?path=c"));
        await ReadAsync<JsonElement>(node.Http.PostAsJsonAsync(FilesOf(id, "/mkdir"), new { path = "e" }));
        var extracted = await ReadAsync<JsonElement>(node.Http.PutAsync(FilesOf(id, "/archive?path=e"), new ByteArrayContent(archive)));
        Assert.Equal(300_000, extracted.GetProperty("bytes").GetInt64());
        Assert.Equal(content, await node.Http.GetByteArrayAsync(FilesOf(id, "/content?path=e/d.bin")));
        var search = await ReadAsync<JsonElement>(node.Http.PostAsJsonAsync(
            FilesOf(id, "/search"),
            new { path = ".", name = "*.bin", regex = false, caseSensitive = true, maxResults = 10, maxDepth = 5, timeoutMs = 1000 }));
        Assert.Equal(2, search.GetProperty("matches").GetArrayLength());
        using var deleted = await node.Http.DeleteAsync(FilesOf(id, "?path=e/d.bin"));
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Equal(ErrorCodes.FileNotFound, (await ErrorAsync(node.Http.GetAsync(FilesOf(id, "/stat?path=e/d.bin")))).Code);
    }

    /// <summary>Every byte of such a path takes three characters of the request.</summary>
    [Fact]
    public async Task Path_OfTheMostBytes_PassesTheRelay()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();
        var path = string.Join("%2F", Enumerable.Repeat(string.Concat(Enumerable.Repeat("%E2%82%AC", 85)), 15));

        var written = await ReadAsync<AgentFile>(
            node.Http.PutAsync(FilesOf(id, $"/content?path={path}&createParents=true"), new StringContent("x")));

        Assert.Equal("/workspace/" + Uri.UnescapeDataString(path), written.Path);
        Assert.Equal("x", await node.Http.GetStringAsync(FilesOf(id, $"/content?path={path}")));
    }

    [Fact]
    public async Task Upload_LongAfterTheError_StillHearsIt()
    {
        await using var node = await TestNode.StartAsync(backing, ("WorkspaceMb", "8"));
        var (id, _) = await node.CreateAsync();
        await node.ExecAsync(id, "echo old > x");
        using var request = new HttpRequestMessage(HttpMethod.Put, FilesOf(id, "/content?path=x"))
        {
            Content = new StreamContent(new SlowStream(120, TimeSpan.FromMilliseconds(100))),
        };

        // The workspace is full after a second; the sender goes on for twelve.
        var error = await ErrorAsync(node.Http.SendAsync(request));

        Assert.Equal((429, ErrorCodes.QuotaExceeded), (error.Status, error.Code));
        Assert.Equal("old\n", await node.Http.GetStringAsync(FilesOf(id, "/content?path=x")));
    }

    [Fact]
    public async Task Export_SandboxKilledMidway_LeavesNothing()
    {
        await using var node = await TestNode.StartAsync(backing);
        var (id, _) = await node.CreateAsync();
        await node.ExecAsync(id, "truncate -s 4000M big");
        var (artifacts, request) = await AnnounceAsync(node, id, "big");

        var call = node.Http.PostAsJsonAsync($"/internal/sandboxes/{id}/artifacts", request);
        var unfinished = Path.Combine(node.ObjectsDirectory, ".unfinished");
        await Eventually.HoldsAsync(() => new DirectoryInfo(unfinished).EnumerateFiles().Any(f => f.Length > 1_000_000), "it is under way");
        using var killed = await node.KillAsync(id);

        var error = await ErrorAsync(call);
        Assert.Equal((410, ErrorCodes.SandboxDestroyed), (error.Status, error.Code));
        Assert.Null(await artifacts.FindAsync(request.ArtifactId, CancellationToken.None));
        Assert.Empty(Directory.GetFiles(unfinished));
    }

    /// <summary>Alone, because it looks at the memory of the whole process. How fast it is, bench/ measures.</summary>
    [Fact(DisableParallelization = true)]
    public async Task Transfers_OfALargeFile_AreWholeInFlatMemory()
    {
        const int Megabytes = 256;
        const long Size = Megabytes * 1024L * 1024;
        await using var node = await TestNode.StartAsync(backing, ("DefaultMemoryMb", "2048"), ("WorkspaceMb", "600"));
        var (id, _) = await node.CreateAsync();
        var (exitCode, _) = await node.ExecAsync(id, $"head -c {Size} /dev/urandom > big", 60_000);
        Assert.Equal(0, exitCode);
        using var memory = new MemoryWatch();

        using (var response = await node.Http.GetAsync(FilesOf(id, "/content?path=big"), HttpCompletionOption.ResponseHeadersRead))
        {
            await using var body = await response.Content.ReadAsStreamAsync();
            var buffer = new byte[256 * 1024];
            var total = 0L;
            int n;
            while ((n = await body.ReadAsync(buffer)) > 0)
            {
                total += n;
            }

            Assert.Equal(Size, total);
        }

        var (artifacts, export) = await AnnounceAsync(node, id, "big");
        await ReadAsync<ArtifactRow>(node.Http.PostAsJsonAsync($"/internal/sandboxes/{id}/artifacts", export));
        var row = (await artifacts.FindAsync(export.ArtifactId, CancellationToken.None))!;
        var (_, digest) = await node.ExecAsync(id, "sha256sum < big", 60_000);
        Assert.StartsWith(row.Sha256!, digest, StringComparison.Ordinal);
        await ReadAsync<AgentFile>(node.Http.PostAsJsonAsync(
            $"/internal/sandboxes/{id}/imports", new ImportObject(row.ObjectKey, row.Sha256!, Size, "copy", false, true)));
        await node.ExecAsync(id, "rm copy");
        await ReadAsync<AgentFile>(node.Http.PutAsync(
            FilesOf(id, "/content?path=copy"), new StreamContent(new SlowStream(Megabytes, TimeSpan.Zero))));

        Assert.InRange(memory.HighestMb, 0, 100);
    }

    private static async Task<(ArtifactStore Artifacts, StoreArtifact Request)> AnnounceAsync(TestNode node, string sandbox, string path)
    {
        var id = Ids.New(Ids.Artifact);
        var row = new NewArtifact
        {
            Id = id,
            SandboxId = sandbox,
            Name = path,
            ObjectKey = ObjectKey.Artifact("org_test", id),
            ContentType = "application/octet-stream",
            CreatedAt = DateTimeOffset.UtcNow,
            RetentionExpiresAt = DateTimeOffset.UtcNow.AddDays(1),
        };
        var artifacts = new ArtifactStore(node.Database);
        Assert.True((await artifacts.InsertAsync(Owner, row, null, null, CancellationToken.None))!.Added);
        return (artifacts, new StoreArtifact(id, row.ObjectKey, path, 8L << 30));
    }

    /// <summary>Some megabytes of zeros, one by one, with a pause before each.</summary>
    private sealed class SlowStream(int megabytes, TimeSpan pause) : Stream
    {
        private const int Megabyte = 1024 * 1024;
        private long _left = (long)megabytes * Megabyte;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (pause > TimeSpan.Zero && _left % Megabyte == 0)
            {
                await Task.Delay(pause, cancellationToken);
            }

            var read = (int)Math.Min(_left, buffer.Length);
            _left -= read;
            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush() => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    /// <summary>The process's memory, looked at ten times a second.</summary>
    private sealed class MemoryWatch : IDisposable
    {
        private readonly long _start = Environment.WorkingSet;
        private readonly Timer _timer;
        private long _highest;

        public MemoryWatch() => _timer = new Timer(
            _ => _highest = Math.Max(_highest, Environment.WorkingSet), null, TimeSpan.Zero, TimeSpan.FromMilliseconds(100));

        public long HighestMb => Math.Max(0, _highest - _start) / 1_000_000;

        public void Dispose() => _timer.Dispose();
    }
}
