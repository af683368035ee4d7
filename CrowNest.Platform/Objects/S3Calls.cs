using Amazon.Runtime;

namespace CrowNest.Platform.Objects;

/// <summary>How calls of the SDK end.</summary>
internal static class S3Calls
{
    /// <summary>Runs a call; what goes wrong in it, time limits included, becomes an <see cref="ObjectStoreException"/>.</summary>
    public static async Task<T> CallAsync<T>(string failure, Func<Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call();
        }
        catch (Exception exception) when (IsTheStores(exception, cancellationToken))
        {
            throw new ObjectStoreException($"{failure} {exception.Message}", exception);
        }
    }

    /// <summary>The SDK gives local times.</summary>
    public static DateTimeOffset Utc(DateTime? time) => time?.ToUniversalTime() ?? DateTimeOffset.UnixEpoch;

    private static bool IsTheStores(Exception exception, CancellationToken cancellationToken) =>
        exception is AmazonServiceException or AmazonClientException or HttpRequestException or IOException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);
}
