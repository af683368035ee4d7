using System.Security.Cryptography;
using System.Text;
using CrowNest.Platform.Objects;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>
/// The contract of <see cref="IObjectStore"/>, for every driver. The S3 driver joins when <c>CROWNEST_TEST_S3_ENDPOINT</c>, <c>_BUCKET</c>,
/// <c>_ACCESS_KEY</c> and <c>_SECRET_KEY</c> name a server.
/// </summary>
public sealed class ObjectStoreTests : IDisposable
{
    private readonly string _root = Path.Combine(Path.GetTempPath(), $"crownest-test-objects-{Guid.NewGuid():n}");
    private readonly string _prefix = $"tests/{Guid.NewGuid():n}";

    public static TheoryData<string> Drivers
    {
        get
        {
            var drivers = new TheoryData<string> { ObjectsOptions.Folder };
            if (Setting("ENDPOINT") is not null)
            {
                drivers.Add(ObjectsOptions.S3);
            }

            return drivers;
        }
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_KnownAndUnknownLength_ReadsBack(string driver)
    {
        var store = Open(driver);
        foreach (var size in new[] { 0, 1, 70_000, (8 * 1024 * 1024) + 5 })
        {
            var bytes = Bytes(size);
            foreach (long? length in new long?[] { size, null })
            {
                using var content = new MemoryStream(bytes);
                Assert.Equal(
                    new ObjectDigest(size, Convert.ToHexStringLower(SHA256.HashData(bytes))),
                    await store.PutAsync($"{_prefix}/object", content, length, default));
                Assert.Equal(bytes, await ReadAsync(store, $"{_prefix}/object", null));
                Assert.Equal(size, (await store.StatAsync($"{_prefix}/object", default))!.Length);
            }
        }

        await store.DeleteAsync($"{_prefix}/object", default);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Get_Ranges_GivesThatPart(string driver)
    {
        var store = Open(driver);
        await PutAsync(store, "part", "0123456789"u8.ToArray());

        Assert.Equal("3456", Encoding.ASCII.GetString((await ReadAsync(store, $"{_prefix}/part", new ObjectRange(3, 4)))!));
        Assert.Equal("89", Encoding.ASCII.GetString((await ReadAsync(store, $"{_prefix}/part", new ObjectRange(8)))!));
        Assert.Equal("89", Encoding.ASCII.GetString((await ReadAsync(store, $"{_prefix}/part", new ObjectRange(8, 100)))!));
        Assert.Empty((await ReadAsync(store, $"{_prefix}/part", new ObjectRange(10)))!);
        Assert.Empty((await ReadAsync(store, $"{_prefix}/part", new ObjectRange(50, 3)))!);
        await using var part = await store.GetAsync($"{_prefix}/part", new ObjectRange(3, 4), default);
        Assert.Equal((4, 10), (part!.Length, part.TotalLength));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Missing_EveryCall_IsNothingAndNoError(string driver)
    {
        var store = Open(driver);

        Assert.Null(await store.GetAsync($"{_prefix}/none", null, default));
        Assert.Null(await store.GetAsync($"{_prefix}/none", new ObjectRange(1, 2), default));
        Assert.Null(await store.StatAsync($"{_prefix}/none", default));
        await store.DeleteAsync($"{_prefix}/none", default);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_ContentFailsOrIsShort_KeepsTheOldObject(string driver)
    {
        var store = Open(driver);
        await PutAsync(store, "kept", "old"u8.ToArray());

        using var shortContent = new MemoryStream(Bytes(10));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.PutAsync($"{_prefix}/kept", shortContent, 11, default));
        await using var broken = new BrokenStream(100_000);
        await Assert.ThrowsAnyAsync<Exception>(() => store.PutAsync($"{_prefix}/kept", broken, null, default));

        Assert.Equal("old"u8.ToArray(), await ReadAsync(store, $"{_prefix}/kept", null));
        await store.DeleteAsync($"{_prefix}/kept", default);
        Assert.Null(await store.StatAsync($"{_prefix}/kept", default));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a//b")]
    [InlineData("../a")]
    [InlineData("a/../b")]
    [InlineData("a/./b")]
    [InlineData(".unfinished/a")]
    [InlineData("a\\b")]
    [InlineData("a b")]
    [InlineData("a\0b")]
    [InlineData("ä")]
    public async Task Key_NotLegal_IsRefused(string key)
    {
        var store = Open(ObjectsOptions.Folder);
        using var content = new MemoryStream([1]);

        await Assert.ThrowsAsync<ArgumentException>(() => store.PutAsync(key, content, 1, default));
        await Assert.ThrowsAsync<ArgumentException>(() => store.GetAsync(key, null, default));
        await Assert.ThrowsAsync<ArgumentException>(() => store.StatAsync(key, default));
        await Assert.ThrowsAsync<ArgumentException>(() => store.DeleteAsync(key, default));
    }

    [Fact]
    public async Task Put_ContentFails_FolderHoldsNothingOfIt()
    {
        var store = Open(ObjectsOptions.Folder);
        await using var broken = new BrokenStream(100_000);

        await Assert.ThrowsAnyAsync<Exception>(() => store.PutAsync("logs/a/b", broken, null, default));

        Assert.Empty(Directory.GetFiles(_root, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Put_FolderCanNotBeMade_IsTheStoresError()
    {
        var store = Open(ObjectsOptions.Folder);
        await File.WriteAllTextAsync(Path.Combine(_root, "logs"), "in the way");
        using var content = new MemoryStream([1]);

        await Assert.ThrowsAsync<ObjectStoreException>(() => store.PutAsync("logs/a/b", content, 1, default));
    }

    public void Dispose()
    {
        if (Directory.Exists(_root))
        {
            Directory.Delete(_root, recursive: true);
        }
    }

    private static string? Setting(string name) => Environment.GetEnvironmentVariable($"CROWNEST_TEST_S3_{name}");

    private static byte[] Bytes(int size)
    {
        var bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        return bytes;
    }

    private static async Task<byte[]?> ReadAsync(IObjectStore store, string key, ObjectRange? range)
    {
        await using var stored = await store.GetAsync(key, range, default);
        if (stored is null)
        {
            return null;
        }

        using var bytes = new MemoryStream();
        await stored.Content.CopyToAsync(bytes);
        Assert.Equal(stored.Length, bytes.Length);
        return bytes.ToArray();
    }

    private async Task PutAsync(IObjectStore store, string name, byte[] bytes)
    {
        using var content = new MemoryStream(bytes);
        await store.PutAsync($"{_prefix}/{name}", content, bytes.Length, default);
    }

    private IObjectStore Open(string driver) => ObjectServices.Create(
        new ObjectsOptions
        {
            Driver = driver,
            Directory = _root,
            Endpoint = Setting("ENDPOINT"),
            Bucket = Setting("BUCKET"),
            AccessKey = Setting("ACCESS_KEY"),
            SecretKey = Setting("SECRET_KEY"),
        },
        TimeProvider.System,
        NullLoggerFactory.Instance);

    /// <summary>Gives some bytes, then fails.</summary>
    private sealed class BrokenStream(int good) : MemoryStream(new byte[good])
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await base.ReadAsync(buffer, cancellationToken) is > 0 and var read
                ? read
                : throw new InvalidOperationException("The source broke.");
    }
}
