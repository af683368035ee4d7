using System.Diagnostics;
using System.Security.Cryptography;

namespace CrowNest.Api.Http;

/// <summary>
/// Gives every request an id: the caller's own <c>X-Request-Id</c> when it is a sane one, else a new one. It is returned, stands in every
/// log line and span, and goes along to the worker (<see cref="RequestIdForwarding"/>).
/// </summary>
internal sealed class RequestIds(RequestDelegate next, ILogger<RequestIds> logger)
{
    public const string Header = "X-Request-Id";

    private const int MaxLength = 64;
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

    public async Task InvokeAsync(HttpContext context)
    {
        var given = context.Request.Headers[Header].ToString();
        var id = IsSane(given) ? given : $"req_{RandomNumberGenerator.GetString(Alphabet, 24)}";
        context.TraceIdentifier = id;
        Activity.Current?.SetTag(ApiTelemetry.RequestIdTag, id);
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[Header] = id;
            return Task.CompletedTask;
        });
        using (logger.BeginScope(new Dictionary<string, object> { [ApiTelemetry.RequestIdTag] = id }))
        {
            await next(context);
        }
    }

    /// <summary>Nothing that could break a log line or a header.</summary>
    private static bool IsSane(string id) =>
        id.Length is > 0 and <= MaxLength && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or ':');
}

/// <summary>Sends the id of the request in whose course an internal call is made along with that call.</summary>
internal sealed class RequestIdForwarding(IHttpContextAccessor accessor) : DelegatingHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (accessor.HttpContext is { } context)
        {
            request.Headers.TryAddWithoutValidation(RequestIds.Header, context.TraceIdentifier);
        }

        return base.SendAsync(request, cancellationToken);
    }
}
