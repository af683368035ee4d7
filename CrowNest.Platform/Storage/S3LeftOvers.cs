using System.Net;
using Amazon.S3;
using Microsoft.Extensions.Logging;

namespace CrowNest.Platform.Storage;

/// <summary>
/// Drops the parts of failed uploads. What made an upload fail often lets nobody drop its parts either, so this goes on until the store is
/// back. What a process leaves behind when it ends is dropped by a later start.
/// </summary>
internal sealed partial class S3LeftOvers(AmazonS3Client client, TimeSpan patience, TimeProvider clock, ILogger logger) : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Tries once, also when the caller has given up, and goes on in the background when that fails.</summary>
    public async Task DropAsync(string bucket, string key, string uploadId)
    {
        try
        {
            await AbortAsync(bucket, key, uploadId);
        }
        catch (ObjectStoreException exception)
        {
            // What made the upload fail is what the caller must hear.
            LogPartsStay(key, exception);
            _ = DropLaterAsync(bucket, key, uploadId);
        }
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private async Task DropLaterAsync(string bucket, string key, string uploadId)
    {
        var began = clock.GetTimestamp();
        var stopping = _stopping.Token;
        try
        {
            for (var pause = FirstPause; clock.GetElapsedTime(began) < S3ObjectStore.LeftOverAge;
                pause = 2 * pause < LongestPause ? 2 * pause : LongestPause)
            {
                await Task.Delay(pause, clock, stopping);
                try
                {
                    await AbortAsync(bucket, key, uploadId);
                    LogDropped(key);
                    return;
                }
                catch (ObjectStoreException exception)
                {
                    LogPartsStay(key, exception);
                }
            }
        }
        catch (Exception exception) when (stopping.IsCancellationRequested && exception is OperationCanceledException or ObjectDisposedException)
        {
            // The process ends: a later start finds the parts.
        }
    }

    private async Task AbortAsync(string bucket, string key, string uploadId)
    {
        using var limit = new CancellationTokenSource(patience, clock);
        await S3Calls.CallAsync(
            $"The parts of {key} cannot be dropped.",
            async () =>
            {
                try
                {
                    await client.AbortMultipartUploadAsync(bucket, key, uploadId, limit.Token);
                }
                catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
                {
                    // An earlier try was done, and its answer lost.
                }

                return true;
            },
            default);
    }

    [LoggerMessage(3004, LogLevel.Warning, "The parts of a failed upload of {Key} cannot be dropped now; that is tried again.")]
    private partial void LogPartsStay(string key, Exception exception);

    [LoggerMessage(3005, LogLevel.Information, "The parts of a failed upload of {Key} have been dropped.")]
    private partial void LogDropped(string key);
}
