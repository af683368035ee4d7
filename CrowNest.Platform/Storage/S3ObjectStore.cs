using System.Buffers;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.Extensions.Logging;

namespace CrowNest.Platform.Storage;

/// <summary>
/// Objects in a bucket of any S3 server, path style. Checksums are sent only where S3 wants them: Ceph refuses the trailers that the
/// SDK adds by default. The signature covers the body, so what arrives damaged is refused.
/// </summary>
internal sealed partial class S3ObjectStore : IObjectStore, IDisposable
{
    /// <summary>
    /// Longer content goes in parts of this size, of which two are in memory: one is sent, the next is read. S3 takes 10,000 parts, of 5 MiB
    /// at least.
    /// </summary>
    internal const int PartBytes = 8 * 1024 * 1024;

    private readonly AmazonS3Client _client;
    private readonly S3LeftOvers _leftOvers;
    private readonly ObjectsOptions _options;
    private readonly string _bucket;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;

    public S3ObjectStore(ObjectsOptions options, TimeProvider clock, ILogger<S3ObjectStore> logger)
    {
        _options = options;
        _bucket = options.Bucket!;
        _clock = clock;
        _logger = logger;
        _client = new AmazonS3Client(new BasicAWSCredentials(options.AccessKey, options.SecretKey), new AmazonS3Config
        {
            ServiceURL = options.Endpoint,
            AuthenticationRegion = options.Region,
            ForcePathStyle = true,
            UseHttp = options.Endpoint!.StartsWith("http://", StringComparison.OrdinalIgnoreCase),
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            ConnectTimeout = options.ConnectTimeout,
            Timeout = options.RequestTimeout,
            MaxErrorRetry = 2,
        });
        _leftOvers = new S3LeftOvers(_client, options.RequestTimeout, clock, logger);
    }

    public async Task<ObjectDigest> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        ArgumentNullException.ThrowIfNull(content);
        var failure = $"{key} cannot be stored.";
        var wanted = (int)Math.Min(PartBytes, length is { } l ? l + 1 : PartBytes);
        var first = ArrayPool<byte>.Shared.Rent(wanted);
        try
        {
            var read = await content.ReadAtLeastAsync(first.AsMemory(0, wanted), wanted, throwOnEndOfStream: false, cancellationToken);
            if (read == PartBytes)
            {
                var begun = await WithBucketAsync(
                    failure, () => _client.InitiateMultipartUploadAsync(_bucket, key, cancellationToken), cancellationToken);
                var upload = new S3MultipartUpload(_client, begun, _leftOvers);
                return await upload.SendAsync(first, content, length, cancellationToken);
            }

            CheckLength(key, read, length);
            var digest = new ObjectDigest(read, Convert.ToHexStringLower(SHA256.HashData(first.AsSpan(0, read))));
            await WithBucketAsync(failure, () => PutWholeAsync(key, first, digest, cancellationToken), cancellationToken);
            return digest;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(first);
        }
    }

    public Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        if (range is { } asked)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(asked.Offset, nameof(range));
        }

        return S3Calls.CallAsync($"{key} cannot be read.", () => OpenAsync(key, range, cancellationToken), cancellationToken);
    }

    public Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        return S3Calls.CallAsync($"{key} cannot be read.", () => FindAsync(key, cancellationToken), cancellationToken);
    }

    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        await S3Calls.CallAsync(
            $"{key} cannot be deleted.",
            async () =>
            {
                try
                {
                    await _client.DeleteObjectAsync(_bucket, key, cancellationToken);
                }
                catch (AmazonS3Exception exception) when (exception.ErrorCode is "NoSuchKey")
                {
                    // Some servers say so instead of nothing.
                }

                return true;
            },
            cancellationToken);
    }

    public async Task<ObjectPage> ListAsync(
        string prefix, string? after, DateTimeOffset? olderThan, int limit, CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, ObjectPage.MaxLimit);
        var request = new ListObjectsV2Request { BucketName = _bucket, Prefix = prefix, StartAfter = after, MaxKeys = limit };
        var listed = await S3Calls.CallAsync(
            "The objects cannot be listed.", () => _client.ListObjectsV2Async(request, cancellationToken), cancellationToken);
        var all = listed.S3Objects ?? [];
        var wanted = all
            .Where(o => ObjectKey.IsValid(o.Key))
            .Select(o => new ObjectEntry(o.Key, o.Size ?? 0, S3Calls.Utc(o.LastModified)))
            .Where(o => olderThan is null || o.ModifiedAt < olderThan);
        return new ObjectPage([.. wanted], listed.IsTruncated == true && all.Count > 0 ? all[^1].Key : null);
    }

    public void Dispose()
    {
        _leftOvers.Dispose();
        _client.Dispose();
    }

    internal static void CheckLength(string key, long written, long? expected)
    {
        if (expected is { } length && length != written)
        {
            throw new ObjectStoreException($"The content of {key} has {written} bytes instead of {length}.");
        }
    }

    private Task<PutObjectResponse> PutWholeAsync(string key, byte[] bytes, ObjectDigest digest, CancellationToken cancellationToken)
    {
        var request = new PutObjectRequest
        {
            BucketName = _bucket,
            Key = key,
            InputStream = new MemoryStream(bytes, 0, (int)digest.Length),
            // The SDK would guess one from the key.
            ContentType = "application/octet-stream",
        };
        request.Metadata.Add("sha256", digest.Sha256);
        return _client.PutObjectAsync(request, cancellationToken);
    }

    private async Task<ObjectStat?> FindAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            var found = await _client.GetObjectMetadataAsync(_bucket, key, cancellationToken);
            return new ObjectStat(found.ContentLength, S3Calls.Utc(found.LastModified));
        }
        catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private async Task<StoredObject?> OpenAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
    {
        var request = new GetObjectRequest { BucketName = _bucket, Key = key };
        if (range is { Length: <= 0 })
        {
            return await OpenEmptyAsync(key, cancellationToken);
        }

        if (range is { } wanted)
        {
            request.ByteRange = new ByteRange(wanted.Length is { } bytes && bytes <= long.MaxValue - wanted.Offset
                ? string.Create(CultureInfo.InvariantCulture, $"bytes={wanted.Offset}-{wanted.Offset + bytes - 1}")
                : string.Create(CultureInfo.InvariantCulture, $"bytes={wanted.Offset}-"));
        }

        GetObjectResponse response;
        try
        {
            response = await _client.GetObjectAsync(request, cancellationToken);
        }
        catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            return await OpenEmptyAsync(key, cancellationToken);
        }
        catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound && exception.ErrorCode != "NoSuchBucket")
        {
            return null;
        }

        // Content-Range: bytes 3-6/10. Without one the server has sent all of it.
        var length = response.ContentLength;
        var total = response.ContentRange is { Length: > 0 } sent
            ? long.Parse(sent.AsSpan(sent.LastIndexOf('/') + 1), CultureInfo.InvariantCulture)
            : length;
        var content = new StoredContent(response.ResponseStream, length, key, _options.RequestTimeout);
        if (range is not null && total == length && range.Value.Offset > 0)
        {
            await content.DisposeAsync();
            throw new ObjectStoreException($"{key} cannot be read in part: the server ignores ranges.");
        }

        return new StoredObject(content, length, total);
    }

    private async Task<StoredObject?> OpenEmptyAsync(string key, CancellationToken cancellationToken) =>
        await FindAsync(key, cancellationToken) is { } stat ? new StoredObject(Stream.Null, 0, stat.Length) : null;
}
