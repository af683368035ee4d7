namespace CrowNest.Api.Http;

/// <summary>The response of a request under an idempotency key is written here first, stored, and only then sent.</summary>
internal sealed class ResponseCapture(Stream client)
{
    /// <summary>The real body.</summary>
    public Stream Client { get; } = client;

    public MemoryStream Held { get; } = new();
}
