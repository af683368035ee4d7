using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace CrowNest.Agent.Http;

/// <summary>JSON bodies with source-generated metadata, and the one place where errors become answers.</summary>
internal static class JsonHttp
{
    /// <exception cref="AgentException">invalid_request</exception>
    internal static async Task<T> ReadAsync<T>(this HttpContext http, JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return await JsonSerializer.DeserializeAsync(http.Request.Body, type, http.RequestAborted)
                ?? throw new AgentException(AgentError.InvalidRequest("body must be a JSON object"));
        }
        catch (JsonException e)
        {
            throw new AgentException(AgentError.InvalidRequest($"body is not the JSON that is expected here, near {e.Path ?? "$"}"));
        }
    }

    internal static Task AnswerAsync<T>(this HttpContext http, int status, T body, JsonTypeInfo<T> type)
    {
        byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(body, type);
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = bytes.Length;
        return http.Response.Body.WriteAsync(bytes, 0, bytes.Length, http.RequestAborted);
    }

    internal static Task AnswerAsync(this HttpContext http, AgentError error) =>
        http.AnswerAsync(error.Status, new ErrorBody(new ErrorDetail(error.Code, error.Message)), Wire.Default.ErrorBody);
}
