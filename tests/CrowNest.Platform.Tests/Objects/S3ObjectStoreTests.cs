using System.Diagnostics;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>What only the S3 driver has: the bucket, uploads in parts, a server that is silent.</summary>
[Collection(TestStore.Collection)]
public sealed class S3ObjectStoreTests : IAsyncLifetime
{
    private const int MiB = 1024 * 1024;
    private readonly TestStore _test = new();
    private readonly List<string> _buckets = [];
    private AmazonS3Client? _client;

    public ValueTask InitializeAsync()
    {
        if (TestStore.HasS3)
        {
            var options = _test.Options(ObjectsOptions.S3);
            _client = new AmazonS3Client(
                new BasicAWSCredentials(options.AccessKey, options.SecretKey),
                new AmazonS3Config { ServiceURL = options.Endpoint, AuthenticationRegion = options.Region, ForcePathStyle = true });
        }

        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var bucket in _buckets)
        {
            foreach (var left in (await _client!.ListObjectsV2Async(new ListObjectsV2Request { BucketName = bucket })).S3Objects ?? [])
            {
                await _client.DeleteObjectAsync(bucket, left.Key);
            }

            await _client.DeleteBucketAsync(bucket);
        }

        _client?.Dispose();
        await _test.DisposeAsync();
    }

    [S3Fact]
    public async Task Put_ContentFailsOrIsCanceled_NoPartsAreLeft()
    {
        var store = _test.Open(ObjectsOptions.S3);
        await using var broken = new MadeStream(20 * MiB, _ => throw new InvalidOperationException("The source broke."));
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.PutAsync(_test.Key("a"), broken, null, default));
        using var stop = new CancellationTokenSource();
        await using var endless = new MadeStream(20 * MiB, async token =>
        {
            await stop.CancelAsync();
            await Task.Delay(Timeout.Infinite, token);
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.PutAsync(_test.Key("b"), endless, null, stop.Token));

        Assert.Empty(await UploadsAsync(_test.Options(ObjectsOptions.S3).Bucket!));
    }

    [S3Fact]
    public async Task Put_OneRequest_KeepsTheDigestAsMetadata()
    {
        var digest = await TestStore.PutAsync(_test.Open(ObjectsOptions.S3), _test.Key("small"), "hello"u8.ToArray());

        var found = await _client!.GetObjectMetadataAsync(_test.Options(ObjectsOptions.S3).Bucket, _test.Key("small"));
        Assert.Equal(digest.Sha256, found.Metadata["sha256"]);
    }

    [S3Fact]
    public async Task Put_AnswerToTheLastRequestIsLost_ObjectIsStored()
    {
        var options = _test.Options(ObjectsOptions.S3);
        await using var proxy = new StoreProxy(options.Endpoint!);
        options.Endpoint = proxy.Endpoint;
        var store = _test.Open(options);
        proxy.LoseAnswerTo("<CompleteMultipartUpload");

        await using var content = new MadeStream(20 * MiB);
        var digest = await store.PutAsync(_test.Key("object"), content, null, default);

        await using var stored = (await store.GetAsync(_test.Key("object"), null, default))!.Verified(digest.Sha256);
        await stored.Content.CopyToAsync(Stream.Null);
    }

    [S3Fact]
    public async Task EveryCall_ServerIsSilent_IsGivenUpInTime()
    {
        var options = _test.Options(ObjectsOptions.S3);
        await using var proxy = new StoreProxy(options.Endpoint!);
        options.Endpoint = proxy.Endpoint;
        options.RequestTimeout = TimeSpan.FromSeconds(1);
        var store = _test.Open(options);
        await TestStore.PutAsync(store, _test.Key("object"), TestStore.Bytes(30 * MiB));
        await using var stored = (await store.GetAsync(_test.Key("object"), null, default))!;
        await stored.Content.ReadExactlyAsync(new byte[1000]);

        proxy.IsSilent = true;
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(
            Assert.ThrowsAsync<ObjectStoreException>(() => stored.Content.CopyToAsync(Stream.Null)),
            Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, _test.Key("other"), [1])),
            Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, _test.Key("large"), TestStore.Bytes(9 * MiB))),
            Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync(_test.Key("object"), null, default)),
            Assert.ThrowsAsync<ObjectStoreException>(() => store.StatAsync(_test.Key("object"), default)),
            Assert.ThrowsAsync<ObjectStoreException>(() => store.DeleteAsync(_test.Key("object"), default)));
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(15));
        proxy.IsSilent = false;
        proxy.CloseConnections();

        Assert.Equal(1, (await TestStore.PutAsync(store, _test.Key("other"), [1])).Length);
    }

    [S3Fact]
    public async Task Prepare_BucketIsMissing_OneOfManyMakesIt()
    {
        var options = OptionsOfNewBucket();
        var stores = Enumerable.Range(0, 4).Select(_ => (S3ObjectStore)_test.Open(options)).ToList();

        await Task.WhenAll(stores.Select(s => s.PrepareAsync(default)));

        Assert.Empty((await stores[0].ListAsync("", null, null, 1, default)).Objects);
        await stores[0].PrepareAsync(default);
    }

    [S3Fact]
    public async Task Put_BucketIsMissing_MakesItOnlyWhenWanted()
    {
        var options = OptionsOfNewBucket();
        options.CreateBucket = false;
        var unwilling = (S3ObjectStore)_test.Open(options);
        await unwilling.PrepareAsync(default);
        await Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(unwilling, "logs/a", [1]));
        await Assert.ThrowsAsync<ObjectStoreException>(() => unwilling.GetAsync("logs/a", null, default));

        options.CreateBucket = true;
        var store = _test.Open(options);
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync("logs/a", null, default));
        await TestStore.PutAsync(store, "logs/a", TestStore.Bytes(9 * MiB));
        Assert.Equal(9 * MiB, (await store.StatAsync("logs/a", default))!.Length);
    }

    [S3Fact]
    public async Task Prepare_UnfinishedUploads_OnlyOldOnesAreDropped()
    {
        var options = OptionsOfNewBucket();
        await ((S3ObjectStore)_test.Open(options)).PrepareAsync(default);
        await _client!.InitiateMultipartUploadAsync(options.Bucket, "logs/a");

        await ((S3ObjectStore)_test.Open(options)).PrepareAsync(default);
        Assert.Single(await UploadsAsync(options.Bucket!));
        await ((S3ObjectStore)_test.Open(options, new ShiftedClock(TimeSpan.FromDays(2)))).PrepareAsync(default);
        Assert.Empty(await UploadsAsync(options.Bucket!));
    }

    [S3Fact]
    public async Task EveryCall_WrongSecret_IsTheStoresError()
    {
        var options = _test.Options(ObjectsOptions.S3);
        options.SecretKey = "wrong-secret";
        var store = (S3ObjectStore)_test.Open(options);
        await store.PrepareAsync(default);

        await Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, _test.Key("a"), [1]));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync(_test.Key("a"), null, default));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.StatAsync(_test.Key("a"), default));
    }

    [Fact]
    public async Task Prepare_NobodyIsThere_ReturnsAndPutsFailInTime()
    {
        var store = (S3ObjectStore)_test.Open(new ObjectsOptions
        {
            Driver = ObjectsOptions.S3,
            Endpoint = $"http://127.0.0.1:{FreePort.Next()}",
            Bucket = "none",
            AccessKey = "a",
            SecretKey = "b",
        });
        var watch = Stopwatch.StartNew();
        await store.PrepareAsync(default);
        await Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, "a", [1]));

        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(20));
    }

    private ObjectsOptions OptionsOfNewBucket()
    {
        var options = _test.Options(ObjectsOptions.S3);
        options.Bucket = $"crownest-{Guid.NewGuid():n}";
        _buckets.Add(options.Bucket);
        return options;
    }

    private async Task<List<MultipartUpload>> UploadsAsync(string bucket) =>
        [.. ((await _client!.ListMultipartUploadsAsync(bucket)).MultipartUploads ?? []).Where(
            u => u.Key.StartsWith(_test.Prefix, StringComparison.Ordinal) || bucket.StartsWith("crownest-", StringComparison.Ordinal))];
}
