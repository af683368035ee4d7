namespace CrowNest.Api.Http;

/// <param name="Id">The record.</param>
/// <param name="ResourceId">What an earlier attempt, whose instance is gone, had already made.</param>
internal sealed record IdempotencyClaim(byte[] Id, string? ResourceId);

internal static class IdempotencyExtensions
{
    /// <summary>The request's record, for the stores' inserts, which note the new resource in it; null without an idempotency key.</summary>
    public static byte[]? GetIdempotencyId(this HttpContext context) => context.Features.Get<IdempotencyClaim>()?.Id;

    /// <summary>
    /// The sandbox, command, artifact or session that an earlier attempt of this very request has made before its instance died. The handler must not make
    /// another one: it answers from this.
    /// </summary>
    public static string? GetIdempotentResourceId(this HttpContext context) => context.Features.Get<IdempotencyClaim>()?.ResourceId;
}
