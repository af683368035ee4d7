using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Polly;

namespace CrowNest.ServiceDefaults.Http;

/// <summary>Repeats what may be repeated.</summary>
public static class SafeRetries
{
    /// <summary>
    /// Sends a GET or HEAD that found nobody again, so that a service that is restarted for a moment is not missed. Whatever may change
    /// something is sent once: the first attempt may have arrived. An answer, whatever it says, is an answer.
    /// </summary>
    /// <remarks>
    /// For the dashboard's client of the API. The API's client of the nodes has none: what a node that is away means is decided there,
    /// by rows and leases.
    /// </remarks>
    public static IHttpClientBuilder AddSafeRetries(this IHttpClientBuilder client)
    {
        client.AddResilienceHandler("safe-retries", pipeline =>
        {
            var retry = new HttpRetryStrategyOptions
            {
                MaxRetryAttempts = 2,
                Delay = TimeSpan.FromMilliseconds(200),
                BackoffType = DelayBackoffType.Exponential,
                ShouldHandle = attempt => ValueTask.FromResult(attempt.Outcome.Exception is HttpRequestException),
            };
            retry.DisableForUnsafeHttpMethods();
            pipeline.AddRetry(retry);
        });
        return client;
    }
}
