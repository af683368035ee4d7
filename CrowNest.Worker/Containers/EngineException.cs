using System.Net;

namespace CrowNest.Worker.Containers;

/// <summary>The container engine refused, or did not answer.</summary>
/// <param name="status">Its HTTP status; null when there was no answer.</param>
internal sealed class EngineException(string message, HttpStatusCode? status, Exception? inner = null) : Exception(message, inner)
{
    public HttpStatusCode? Status => status;
}
