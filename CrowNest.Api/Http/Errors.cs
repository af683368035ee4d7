using System.Globalization;
using CrowNest.Contracts;

namespace CrowNest.Api.Http;

/// <summary>
/// Turns every failure into the envelope of docs/reference/api.md 2.6 (H3): what handlers throw, what routing refuses, and what nobody
/// expected, which is logged and told without detail.
/// </summary>
internal sealed partial class Errors(RequestDelegate next, ILogger<Errors> logger)
{
    private const string InternalMessage = "The request could not be completed. The response's X-Request-Id names it in the logs.";

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
            if (context.Response is { StatusCode: >= 400, HasStarted: false })
            {
                await WriteAsync(context, ForBareStatus(context.Response.StatusCode));
            }
        }
        catch (ApiException exception)
        {
            await AnswerAsync(context, exception);
        }
        catch (BadHttpRequestException exception)
        {
            await AnswerAsync(
                context, new ApiException(ErrorCodes.InvalidRequest, "The request is malformed.") { Status = exception.StatusCode });
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is left to answer to.
            LogClientGone(logger, context.Request.Method, context.Request.Path);
            if (!context.Response.HasStarted)
            {
                context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            }
        }
        catch (Exception exception)
        {
            LogUnexpected(logger, exception, context.Request.Method, context.Request.Path);
            await AnswerAsync(context, new ApiException(ErrorCodes.InternalError, InternalMessage));
        }
    }

    private async Task AnswerAsync(HttpContext context, ApiException exception)
    {
        if (context.Response.HasStarted)
        {
            // Half an answer must not look like a whole one.
            LogTooLate(logger, exception.Code, context.Request.Method, context.Request.Path);
            context.Abort();
            return;
        }

        await WriteAsync(context, exception);
    }

    private static async Task WriteAsync(HttpContext context, ApiException error)
    {
        var response = context.Response;
        var allow = response.Headers.Allow;
        response.Clear();
        response.StatusCode = error.Status;
        if (error.Status == StatusCodes.Status405MethodNotAllowed)
        {
            response.Headers.Allow = allow;
        }

        if (error.Status == StatusCodes.Status401Unauthorized)
        {
            var urls = context.RequestServices.GetRequiredService<PublicUrls>();
            response.Headers.WWWAuthenticate = $"Bearer resource_metadata=\"{urls.Base}/.well-known/oauth-protected-resource\"";
        }

        if (error.ContentRange is { } range)
        {
            response.Headers.ContentRange = range;
        }

        if (error.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        ApiTelemetry.Errors.Add(1, new KeyValuePair<string, object?>("code", error.Code));
        await response.WriteAsJsonAsync(
            new ErrorEnvelope(new ErrorBody(error.Code, error.Message, error.Details)), CrowNestJson.Options, context.RequestAborted);
    }

    private static ApiException ForBareStatus(int status) => status switch
    {
        StatusCodes.Status404NotFound => new ApiException(ErrorCodes.NotFound, "There is no such route."),
        StatusCodes.Status405MethodNotAllowed =>
            new ApiException(ErrorCodes.InvalidRequest, "The route does not support this method.") { Status = status },
        < 500 => new ApiException(ErrorCodes.InvalidRequest, "The request was refused.") { Status = status },
        _ => new ApiException(ErrorCodes.InternalError, InternalMessage) { Status = status },
    };

    [LoggerMessage(1001, LogLevel.Error, "{Method} {Path} failed.")]
    private static partial void LogUnexpected(ILogger logger, Exception exception, string method, string path);

    [LoggerMessage(1002, LogLevel.Warning, "{Method} {Path} failed with {Code} after its response had begun; the connection is broken off.")]
    private static partial void LogTooLate(ILogger logger, string code, string method, string path);

    [LoggerMessage(1003, LogLevel.Debug, "{Method} {Path}: the client is gone.")]
    private static partial void LogClientGone(ILogger logger, string method, string path);
}
