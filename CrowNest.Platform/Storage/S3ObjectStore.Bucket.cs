using System.Net;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.Extensions.Logging;

namespace CrowNest.Platform.Storage;

/// <summary>The bucket: made when it is missing, cleared of what crashed processes have left.</summary>
internal sealed partial class S3ObjectStore
{
    /// <summary>Unfinished uploads older than this are no longer anyone's.</summary>
    internal static readonly TimeSpan LeftOverAge = TimeSpan.FromDays(1);

    /// <summary>
    /// Makes the bucket when it is missing and that is wanted, and drops unfinished uploads of yesterday. A store that is away, or does
    /// not allow it, is logged: a later put makes the bucket all the same.
    /// </summary>
    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_options.CreateBucket && !await HasBucketAsync(cancellationToken))
            {
                await CreateBucketAsync(cancellationToken);
            }
        }
        catch (ObjectStoreException exception)
        {
            LogNotPrepared(_bucket, exception);
            return;
        }

        try
        {
            await DropLeftOversAsync(cancellationToken);
        }
        catch (ObjectStoreException exception)
        {
            LogLeftOversStay(_bucket, exception);
        }
    }

    /// <summary>Without the permission to look, the bucket counts as there.</summary>
    private Task<bool> HasBucketAsync(CancellationToken cancellationToken) => S3Calls.CallAsync(
        $"Bucket {_bucket} cannot be looked for.",
        async () =>
        {
            try
            {
                await _client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = _bucket, MaxKeys = 1 }, cancellationToken);
                return true;
            }
            catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
            {
                return false;
            }
            catch (AmazonS3Exception exception) when (exception.ErrorCode == "AccessDenied")
            {
                return true;
            }
        },
        cancellationToken);

    /// <summary>API and worker start together: that the other one was quicker is no error.</summary>
    private Task<bool> CreateBucketAsync(CancellationToken cancellationToken) => S3Calls.CallAsync(
        $"Bucket {_bucket} cannot be made.",
        async () =>
        {
            try
            {
                await _client.PutBucketAsync(new PutBucketRequest { BucketName = _bucket }, cancellationToken);
                LogBucketMade(_bucket);
                return true;
            }
            catch (AmazonS3Exception exception) when (exception.ErrorCode == "BucketAlreadyOwnedByYou"
                || exception.StatusCode == HttpStatusCode.Conflict)
            {
                return false;
            }
        },
        cancellationToken);

    /// <summary>A put's first request: where the bucket is missing, it is made and the request sent again.</summary>
    private Task<T> WithBucketAsync<T>(string failure, Func<Task<T>> call, CancellationToken cancellationToken) => S3Calls.CallAsync(
        failure,
        async () =>
        {
            try
            {
                return await call();
            }
            catch (AmazonS3Exception exception) when (exception.ErrorCode == "NoSuchBucket" && _options.CreateBucket)
            {
                await CreateBucketAsync(cancellationToken);
                return await call();
            }
        },
        cancellationToken);

    private Task<bool> DropLeftOversAsync(CancellationToken cancellationToken) => S3Calls.CallAsync(
        "Unfinished uploads cannot be dropped.",
        async () =>
        {
            var before = _clock.GetUtcNow() - LeftOverAge;
            var request = new ListMultipartUploadsRequest { BucketName = _bucket };
            while (true)
            {
                var page = await _client.ListMultipartUploadsAsync(request, cancellationToken);
                foreach (var upload in page.MultipartUploads ?? [])
                {
                    if (ObjectKey.IsValid(upload.Key) && S3Calls.Utc(upload.Initiated) < before)
                    {
                        await _client.AbortMultipartUploadAsync(_bucket, upload.Key, upload.UploadId, cancellationToken);
                    }
                }

                if (page.IsTruncated != true || page.NextKeyMarker == request.KeyMarker)
                {
                    return true;
                }

                request.KeyMarker = page.NextKeyMarker;
                request.UploadIdMarker = page.NextUploadIdMarker;
            }
        },
        cancellationToken);

    [LoggerMessage(3001, LogLevel.Information, "Bucket {Bucket} was missing; it has been made.")]
    private partial void LogBucketMade(string bucket);

    [LoggerMessage(3002, LogLevel.Warning, "Bucket {Bucket} cannot be looked for or made now; objects cannot be stored until it is there.")]
    private partial void LogNotPrepared(string bucket, Exception exception);

    [LoggerMessage(3003, LogLevel.Warning, "Bucket {Bucket}: unfinished uploads of ended processes cannot be dropped; they cost space.")]
    private partial void LogLeftOversStay(string bucket, Exception exception);
}
