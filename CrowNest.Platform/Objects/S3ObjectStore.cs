using System.Net;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace CrowNest.Platform.Objects;

/// <summary>
/// Objects in a bucket of any S3 server, path style. Checksums are sent only where S3 wants them: Ceph refuses the trailers that the
/// SDK adds by default.
/// </summary>
internal sealed class S3ObjectStore : IObjectStore, IDisposable
{
    /// <summary>Smallest part that S3 takes is 5 MiB; content of unknown length is held in memory one part at a time.</summary>
    private const int PartBytes = 8 * 1024 * 1024;

    private readonly AmazonS3Client _client;
    private readonly string _bucket;

    public S3ObjectStore(ObjectsOptions options)
    {
        _bucket = options.Bucket!;
        _client = new AmazonS3Client(new BasicAWSCredentials(options.AccessKey, options.SecretKey), new AmazonS3Config
        {
            ServiceURL = options.Endpoint,
            AuthenticationRegion = options.Region,
            ForcePathStyle = true,
            UseHttp = options.Endpoint!.StartsWith("http://", StringComparison.OrdinalIgnoreCase),
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            Timeout = TimeSpan.FromMinutes(5),
            MaxErrorRetry = 2,
        });
    }

    public Task<long> PutAsync(string key, Stream content, long? length, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        ArgumentNullException.ThrowIfNull(content);
        return CallAsync($"{key} can not be stored.", () => PutPartsAsync(key, content, length, cancellationToken), cancellationToken);
    }

    public Task<StoredObject?> GetAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        return CallAsync($"{key} can not be read.", () => GetRangeAsync(key, range, cancellationToken), cancellationToken);
    }

    public Task<ObjectStat?> StatAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        return CallAsync($"{key} can not be read.", () => FindAsync(key, cancellationToken), cancellationToken);
    }

    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        return CallAsync($"{key} can not be deleted.", () => _client.DeleteObjectAsync(_bucket, key, cancellationToken), cancellationToken);
    }

    public void Dispose() => _client.Dispose();

    private static async Task<T> CallAsync<T>(string failure, Func<Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call();
        }
        catch (Exception exception) when (exception is AmazonServiceException or AmazonClientException or HttpRequestException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new ObjectStoreException(failure, exception);
        }
    }

    private async Task<ObjectStat?> FindAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            var found = await _client.GetObjectMetadataAsync(_bucket, key, cancellationToken);
            return new ObjectStat(found.ContentLength, found.LastModified?.ToUniversalTime() ?? DateTimeOffset.UnixEpoch);
        }
        catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private async Task<StoredObject?> GetRangeAsync(string key, ObjectRange? range, CancellationToken cancellationToken)
    {
        var request = new GetObjectRequest { BucketName = _bucket, Key = key };
        long? total = null;
        if (range is { } wanted)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(wanted.Offset, nameof(range));
            if (await FindAsync(key, cancellationToken) is not { } stat)
            {
                return null;
            }

            // S3 answers a range behind the end with an error; an empty part is cut off here.
            total = stat.Length;
            var length = Math.Clamp(wanted.Length ?? long.MaxValue, 0, Math.Max(0, stat.Length - wanted.Offset));
            if (length == 0)
            {
                return new StoredObject(Stream.Null, 0, stat.Length);
            }

            request.ByteRange = new ByteRange(wanted.Offset, wanted.Offset + length - 1);
        }

        try
        {
            var response = await _client.GetObjectAsync(request, cancellationToken);
            return new StoredObject(response.ResponseStream, response.ContentLength, total ?? response.ContentLength);
        }
        catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private async Task<long> PutPartsAsync(string key, Stream content, long? length, CancellationToken cancellationToken)
    {
        var part = new byte[(int)Math.Min(PartBytes, length is { } l ? Math.Max(l, 1) : PartBytes)];
        var read = await content.ReadAtLeastAsync(part, part.Length, throwOnEndOfStream: false, cancellationToken);
        if (read < part.Length || read == length)
        {
            CheckLength(key, read, length);
            await _client.PutObjectAsync(
                new PutObjectRequest { BucketName = _bucket, Key = key, InputStream = new MemoryStream(part, 0, read) }, cancellationToken);
            return read;
        }

        var upload = await _client.InitiateMultipartUploadAsync(_bucket, key, cancellationToken);
        try
        {
            var tags = new List<PartETag>();
            var written = 0L;
            for (; read > 0; read = await content.ReadAtLeastAsync(part, part.Length, throwOnEndOfStream: false, cancellationToken))
            {
                var sent = await _client.UploadPartAsync(
                    new UploadPartRequest
                    {
                        BucketName = _bucket,
                        Key = key,
                        UploadId = upload.UploadId,
                        PartNumber = tags.Count + 1,
                        PartSize = read,
                        InputStream = new MemoryStream(part, 0, read),
                    },
                    cancellationToken);
                tags.Add(new PartETag(tags.Count + 1, sent.ETag));
                written += read;
            }

            CheckLength(key, written, length);
            await _client.CompleteMultipartUploadAsync(
                new CompleteMultipartUploadRequest { BucketName = _bucket, Key = key, UploadId = upload.UploadId, PartETags = tags },
                cancellationToken);
            return written;
        }
        catch
        {
            // Parts of an upload that is not completed cost space until someone drops them.
            await _client.AbortMultipartUploadAsync(_bucket, key, upload.UploadId, CancellationToken.None);
            throw;
        }
    }

    private static void CheckLength(string key, long written, long? expected)
    {
        if (expected is { } length && length != written)
        {
            throw new ObjectStoreException($"The content of {key} has {written} bytes instead of {length}.");
        }
    }
}
