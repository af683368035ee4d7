using System.Text.Json.Nodes;
using CrowNest.Contracts;

namespace CrowNest.Api.Http;

/// <summary>Refuses oversize queries and headers with an envelope, before the server's own limits would refuse them without one.</summary>
internal sealed class RequestSize(RequestDelegate next)
{
    private const int MaxTargetLength = 16 * 1024;
    private const int MaxHeaderLength = 32 * 1024;

    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (context.GetEndpoint() is null)
        {
            return next(context);
        }

        if ((request.Path.Value?.Length ?? 0) + (request.QueryString.Value?.Length ?? 0) > MaxTargetLength)
        {
            throw TooLong("path and query", MaxTargetLength);
        }

        var headers = 0;
        foreach (var (name, values) in request.Headers)
        {
            headers += values.Sum(value => name.Length + (value?.Length ?? 0));
        }

        return headers <= MaxHeaderLength ? next(context) : throw TooLong("headers", MaxHeaderLength);
    }

    private static ApiException TooLong(string what, int max) =>
        new(ErrorCodes.InvalidRequest, $"The request's {what} may have at most {max} characters.", new JsonObject { ["max"] = max });
}
