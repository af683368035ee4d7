using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Worker.Agents;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Http;

/// <summary>What every route below <c>/internal</c> has in common (docs/protocols.md 3).</summary>
internal static partial class InternalApi
{
    private const string Scheme = "Bearer ";

    /// <summary>A group that only who knows the deployment's secret may use, and whose errors have the envelope of the contract.</summary>
    public static RouteGroupBuilder MapInternal(this IEndpointRouteBuilder endpoints)
    {
        var secret = endpoints.ServiceProvider.GetRequiredService<IOptions<DeploymentOptions>>().Value.DeploymentSecret;
        var logger = endpoints.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(InternalApi).FullName!);
        // Hashed on both sides: the comparison takes as long for every length.
        var expected = SHA256.HashData(Encoding.UTF8.GetBytes(secret));
        var group = endpoints.MapGroup("/internal");
        group.AddEndpointFilter((context, next) => AuthorizeAsync(context, next, expected));
        group.AddEndpointFilter((context, next) => MapErrorsAsync(context, next, logger));
        return group;
    }

    private static async ValueTask<object?> AuthorizeAsync(
        EndpointFilterInvocationContext context, EndpointFilterDelegate next, byte[] expected)
    {
        var header = context.HttpContext.Request.Headers.Authorization.ToString();
        var given = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..] : "";
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), expected)
            ? await next(context)
            : Error(StatusCodes.Status401Unauthorized, ErrorCodes.Unauthorized, "The deployment's secret is wanted.");
    }

    private static async ValueTask<object?> MapErrorsAsync(
        EndpointFilterInvocationContext context, EndpointFilterDelegate next, ILogger logger)
    {
        try
        {
            return await next(context);
        }
        catch (WorkerException exception)
        {
            if (exception is { Status: < 500, InnerException: AgentErrorException })
            {
                // A caller's mistake, for example a file that is not there.
                LogDeclined(logger, context.HttpContext.Request.Path, exception.Code, exception.Message);
            }
            else
            {
                LogRefused(logger, exception.InnerException, context.HttpContext.Request.Path, exception.Code, exception.Message);
            }

            return Error(exception.Status, exception.Code, exception.Message);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogFailed(logger, exception, context.HttpContext.Request.Path);
            return Error(StatusCodes.Status500InternalServerError, ErrorCodes.InternalError, "The node could not do it; its log says why.");
        }
    }

    private static IResult Error(int status, string code, string message) =>
        Results.Json(new ErrorEnvelope(new ErrorBody(code, message)), statusCode: status);

    [LoggerMessage(5001, LogLevel.Warning, "{Path} is refused with {Code}: {Reason}")]
    private static partial void LogRefused(ILogger logger, Exception? exception, string path, string code, string reason);

    [LoggerMessage(5003, LogLevel.Debug, "{Path}: the sandbox declines with {Code}: {Reason}")]
    private static partial void LogDeclined(ILogger logger, string path, string code, string reason);

    [LoggerMessage(5002, LogLevel.Error, "{Path} failed")]
    private static partial void LogFailed(ILogger logger, Exception exception, string path);
}
