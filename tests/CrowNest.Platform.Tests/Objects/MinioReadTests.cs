using System.Net;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Minio;
using Minio.DataModel.Args;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>What the S3 driver has written is read by a client that shares no code with it.</summary>
[Collection(TestStore.Collection)]
public sealed class MinioReadTests : IAsyncLifetime
{
    private const int MiB = 1024 * 1024;
    private readonly TestStore _test = new();
    private readonly ObjectsOptions _options = TestStore.OptionsOf(ObjectsOptions.S3, "");
    private IMinioClient? _minio;

    public ValueTask InitializeAsync()
    {
        if (TestStore.HasS3)
        {
            var endpoint = new Uri(_options.Endpoint!);
            _minio = new MinioClient().WithEndpoint(endpoint.Authority).WithCredentials(_options.AccessKey, _options.SecretKey)
                .WithRegion(_options.Region).WithSSL(endpoint.Scheme == Uri.UriSchemeHttps).Build();
        }

        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _minio?.Dispose();
        await _test.DisposeAsync();
    }

    [S3Theory]
    [InlineData(0)]
    [InlineData(5)]
    // In two parts, and with the last byte alone in its part.
    [InlineData(9 * MiB)]
    [InlineData((16 * MiB) + 1)]
    public async Task Put_AnySize_IsReadByteForByte(int size)
    {
        var bytes = TestStore.Bytes(size);
        var digest = await TestStore.PutAsync(_test.Open(ObjectsOptions.S3), _test.Key("object"), bytes);

        var (stat, read) = await GetAsync("object");

        Assert.Equal((size, TestStore.Sha256(bytes)), (stat.Size, digest.Sha256));
        Assert.Equal(digest.Sha256, TestStore.Sha256(read));
    }

    [S3Fact]
    public async Task Put_OfUnknownLength_IsReadByteForByte()
    {
        await using var content = new MadeStream(20 * MiB);
        var digest = await _test.Open(ObjectsOptions.S3).PutAsync(_test.Key("object"), content, null, default);

        var (stat, read) = await GetAsync("object");

        Assert.Equal(20 * MiB, stat.Size);
        Assert.Equal(digest.Sha256, TestStore.Sha256(read));
    }

    [S3Theory]
    [InlineData(1, 3)]
    // Over the seam of two parts.
    [InlineData(S3ObjectStore.PartBytes - 2, 4)]
    [InlineData((9 * MiB) - 1, 1)]
    public async Task Get_PartOfAnObject_IsThatPart(int offset, int length)
    {
        var bytes = TestStore.Bytes(9 * MiB);
        var store = _test.Open(ObjectsOptions.S3);
        await TestStore.PutAsync(store, _test.Key("object"), bytes);

        // Its own ranged read asks by HEAD first, and takes the 206 that Ceph answers to that for an error: it signs, and HTTP reads.
        var url = await _minio!.PresignedGetObjectAsync(
            new PresignedGetObjectArgs().WithBucket(_options.Bucket).WithObject(_test.Key("object")).WithExpiry(60));
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, url) { Headers = { Range = new(offset, offset + length - 1) } };
        using var answer = await http.SendAsync(request);
        var read = await answer.Content.ReadAsByteArrayAsync();

        Assert.Equal(HttpStatusCode.PartialContent, answer.StatusCode);
        Assert.Equal(bytes[offset..(offset + length)], read);
        Assert.Equal(read, await TestStore.ReadAsync(store, _test.Key("object"), new ObjectRange(offset, length)));
    }

    [S3Fact]
    public async Task Put_OneRequest_CarriesItsDigestAndNoTypeOfItsKey()
    {
        var digest = await TestStore.PutAsync(_test.Open(ObjectsOptions.S3), _test.Key("page.html"), "<script>"u8.ToArray());

        var stat = await _minio!.StatObjectAsync(new StatObjectArgs().WithBucket(_options.Bucket).WithObject(_test.Key("page.html")));

        Assert.Equal(digest.Sha256, stat.MetaData["sha256"]);
        Assert.Equal("application/octet-stream", stat.ContentType);
    }

    [S3Fact]
    public async Task List_AfterPutAndDelete_NamesTheSameObjects()
    {
        var store = _test.Open(ObjectsOptions.S3);
        foreach (var name in new[] { "a", "b/c", "b/d", "gone" })
        {
            await TestStore.PutAsync(store, _test.Key(name), TestStore.Bytes(name.Length));
        }

        await store.DeleteAsync(_test.Key("gone"), default);

        var listed = new List<(string, long)>();
        await foreach (var item in _minio!.ListObjectsEnumAsync(
            new ListObjectsArgs().WithBucket(_options.Bucket).WithPrefix(_test.Prefix).WithRecursive(true)))
        {
            listed.Add((item.Key, (long)item.Size));
        }

        Assert.Equal([(_test.Key("a"), 1), (_test.Key("b/c"), 3), (_test.Key("b/d"), 3)], listed);
        Assert.Equal(listed, (await TestStore.ListAsync(store, _test.Prefix)).Select(o => (o.Key, o.Length)));
    }

    private async Task<(Minio.DataModel.ObjectStat Stat, byte[] Content)> GetAsync(string name)
    {
        using var content = new MemoryStream();
        var arguments = new GetObjectArgs().WithBucket(_options.Bucket).WithObject(_test.Key(name))
            .WithCallbackStream((stream, token) => stream.CopyToAsync(content, token));
        var stat = await _minio!.GetObjectAsync(arguments);
        return (stat, content.ToArray());
    }
}
