using System.Net;
using Amazon.Runtime;
using Amazon.S3;

namespace CrowNest.Platform.Storage;

/// <summary>How calls of the SDK end.</summary>
internal static class S3Calls
{
    private const int Attempts = 3;

    /// <summary>Runs a call; what goes wrong in it, time limits included, becomes an <see cref="ObjectStoreException"/>.</summary>
    /// <param name="call">Makes its request anew whenever it is called.</param>
    public static async Task<T> CallAsync<T>(string failure, Func<Task<T>> call, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await call();
            }
            catch (AmazonS3Exception exception) when (attempt < Attempts && IsOfAnotherRequest(exception))
            {
                // The next attempt has another connection.
            }
            catch (Exception exception) when (IsTheStores(exception, cancellationToken))
            {
                throw new ObjectStoreException($"{failure} {exception.Message}", exception);
            }
        }
    }

    /// <summary>The SDK gives local times.</summary>
    public static DateTimeOffset Utc(DateTime? time) => time?.ToUniversalTime() ?? DateTimeOffset.UnixEpoch;

    /// <summary>
    /// Ceph refuses a put early without reading its body; on the kept connection it then takes that body for the next request, and
    /// answers that one 400 with nothing of S3 in it.
    /// </summary>
    private static bool IsOfAnotherRequest(AmazonS3Exception exception) =>
        exception.StatusCode == HttpStatusCode.BadRequest && exception.ErrorCode is null or "" or nameof(HttpStatusCode.BadRequest);

    private static bool IsTheStores(Exception exception, CancellationToken cancellationToken) =>
        exception is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);
}
