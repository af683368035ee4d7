using System.Security.Cryptography;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>
/// Stores of one test, and keys that are its own. The S3 driver joins where there is an <see cref="S3Server"/>.
/// </summary>
public sealed class TestStore : IAsyncDisposable
{
    /// <summary>One after the other, because one of them measures memory.</summary>
    public const string Collection = "objects";

    private readonly List<IObjectStore> _opened = [];

    public static bool HasS3 => S3Server.IsThere;

    public static TheoryData<string> Drivers => HasS3 ? [ObjectsOptions.Folder, ObjectsOptions.S3] : [ObjectsOptions.Folder];

    public string Root { get; } = Path.Combine(Path.GetTempPath(), $"crownest-test-objects-{Guid.NewGuid():n}");

    public string Prefix { get; } = $"tests/{Guid.NewGuid():n}/";

    /// <summary>Unfinished files of the folder driver.</summary>
    public string[] Unfinished => Directory.GetFiles(Path.Combine(Root, ".unfinished"));

    public string Key(string name) => Prefix + name;

    public ObjectsOptions Options(string driver) => OptionsOf(driver, Root);

    public IObjectStore Open(string driver, TimeProvider? clock = null) => Open(Options(driver), clock);

    public IObjectStore Open(ObjectsOptions options, TimeProvider? clock = null)
    {
        var store = ObjectServices.Create(options, clock ?? TimeProvider.System, NullLoggerFactory.Instance);
        _opened.Add(store);
        return store;
    }

    public static ObjectsOptions OptionsOf(string driver, string root) => new()
    {
        Driver = driver,
        Directory = root,
        Endpoint = S3Server.Setting("ENDPOINT"),
        Bucket = S3Server.Setting("BUCKET"),
        AccessKey = S3Server.Setting("ACCESS_KEY"),
        SecretKey = S3Server.Setting("SECRET_KEY"),
    };

    public static byte[] Bytes(int size, int seed = 1)
    {
        var bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    public static async Task<ObjectDigest> PutAsync(IObjectStore store, string key, byte[] bytes)
    {
        using var content = new MemoryStream(bytes);
        return await store.PutAsync(key, content, bytes.Length, default);
    }

    public static async Task<byte[]?> ReadAsync(IObjectStore store, string key, ObjectRange? range = null)
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

    /// <summary>Unfinished uploads of an object, asked of the server itself; other drivers have none.</summary>
    public static async Task<List<string>> UploadsAsync(string driver, string key)
    {
        if (driver != ObjectsOptions.S3)
        {
            return [];
        }

        var options = OptionsOf(driver, "");
        using var client = new AmazonS3Client(
            new BasicAWSCredentials(options.AccessKey, options.SecretKey),
            new AmazonS3Config { ServiceURL = options.Endpoint, AuthenticationRegion = options.Region, ForcePathStyle = true });
        var found = await client.ListMultipartUploadsAsync(new ListMultipartUploadsRequest { BucketName = options.Bucket, Prefix = key });
        return [.. (found.MultipartUploads ?? []).Select(u => u.UploadId)];
    }

    /// <summary>Every object with that prefix, by pages of the given size.</summary>
    public static async Task<List<ObjectEntry>> ListAsync(
        IObjectStore store, string prefix, int limit = ObjectPage.MaxLimit, DateTimeOffset? olderThan = null)
    {
        var all = new List<ObjectEntry>();
        string? after = null;
        do
        {
            var page = await store.ListAsync(prefix, after, olderThan, limit, default);
            Assert.InRange(page.Objects.Count, 0, limit);
            all.AddRange(page.Objects);
            after = page.Next;
        }
        while (after is not null);
        return all;
    }

    public async ValueTask DisposeAsync()
    {
        if (HasS3)
        {
            var store = Open(ObjectsOptions.S3);
            foreach (var left in await ListAsync(store, Prefix))
            {
                await store.DeleteAsync(left.Key, default);
            }
        }

        foreach (var store in _opened.OfType<IDisposable>())
        {
            store.Dispose();
        }

        if (Directory.Exists(Root))
        {
            Directory.Delete(Root, recursive: true);
        }
    }
}
