using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace CrowNest.Api;

/// <summary>The API's one source of traces and metrics.</summary>
internal static class ApiTelemetry
{
    public const string Name = "CrowNest.Api";

    /// <summary>Span tag with the id that the caller sees in <c>X-Request-Id</c>.</summary>
    public const string RequestIdTag = "crownest.request_id";

    public static readonly ActivitySource Activities = new(Name);

    public static readonly Meter Meter = new(Name);

    /// <summary>Error envelopes sent, by <c>code</c>.</summary>
    public static readonly Counter<long> Errors = Meter.CreateCounter<long>("crownest.api.errors", "{response}");

    /// <summary>Lookups of credentials that were not in the cache.</summary>
    public static readonly Counter<long> CredentialLookups = Meter.CreateCounter<long>("crownest.api.credential_lookups", "{lookup}");

    /// <summary>Requests under an idempotency key, by <c>outcome</c>: executed, resumed, replayed, in_progress, reused.</summary>
    public static readonly Counter<long> IdempotentRequests = Meter.CreateCounter<long>("crownest.api.idempotent_requests", "{request}");

    /// <summary>Rate-limit decisions made without Redis.</summary>
    public static readonly Counter<long> LocalRateLimits = Meter.CreateCounter<long>("crownest.api.local_rate_limits", "{decision}");
}
