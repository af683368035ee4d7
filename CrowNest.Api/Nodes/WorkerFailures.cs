using System.Text.Json.Nodes;

namespace CrowNest.Api.Nodes;

/// <summary>The node answered with an error of the contract, for example <c>quota_exceeded</c> when it is full.</summary>
internal sealed class WorkerRefusedException(string code, string message, JsonObject? details = null) : Exception(message)
{
    public string Code => code;

    public JsonObject? Details => details;
}

/// <summary>The node did not answer, or the connection broke: what it did with the request is in the database.</summary>
internal sealed class WorkerUnreachableException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>There was no connection, so that the node has not heard of the request.</summary>
    public bool NeverSent => InnerException is HttpRequestException
    {
        HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError,
    };
}
