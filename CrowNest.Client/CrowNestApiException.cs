using System.Net;
using System.Text.Json.Nodes;

namespace CrowNest.Client;

/// <summary>A call to the API that did not succeed: the API refused it, or no usable answer came back.</summary>
public sealed class CrowNestApiException : Exception
{
    /// <summary>Codes that this client makes up where the API said nothing usable.</summary>
    public static class ClientCodes
    {
        /// <summary>No answer: the address does not resolve, refuses connections, or the connection broke.</summary>
        public const string ConnectionFailed = "connection_failed";

        /// <summary>A non-2xx answer without the error envelope, for example from a proxy.</summary>
        public const string InvalidErrorResponse = "invalid_error_response";

        /// <summary>A 2xx answer whose body is not what the contract says.</summary>
        public const string InvalidResponse = "invalid_response";

        /// <summary>A stream broke and could not be continued.</summary>
        public const string StreamDisconnected = "stream_disconnected";
    }

    public CrowNestApiException(
        HttpStatusCode? status, string code, string message, JsonObject? details = null, Exception? innerException = null)
        : base(message, innerException)
    {
        Status = status;
        Code = code;
        Details = details;
    }

    /// <summary>HTTP status; null when no answer came.</summary>
    public HttpStatusCode? Status { get; }

    /// <summary>The envelope's code, or one of <see cref="ClientCodes"/>.</summary>
    public string Code { get; }

    /// <summary>The envelope's details, if any.</summary>
    public JsonObject? Details { get; }

    /// <summary>The API's own request id, for looking the call up in its logs.</summary>
    public string? RequestId { get; init; }

    /// <summary>Whether the API itself said this, in its error envelope. Such a refusal is final; anything else may pass.</summary>
    public bool IsApiAnswer => Status is not null && Code is not (ClientCodes.InvalidErrorResponse or ClientCodes.InvalidResponse);
}
