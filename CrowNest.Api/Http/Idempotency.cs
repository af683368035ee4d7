using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CrowNest.Api.Auth;
using CrowNest.Contracts;

namespace CrowNest.Api.Http;

/// <summary>
/// At most one execution per <c>Idempotency-Key</c> (docs/reference/api.md 2.8). The last of the checks before the handler. Successful
/// responses are stored and replayed; a refusal frees the key; a lost instance's work is handed to the retry. See
/// docs/decisions/idempotency.md.
/// </summary>
internal sealed partial class Idempotency(
    RequestDelegate next, IdempotencyStore store, TimeProvider time, ILogger<Idempotency> logger)
{
    public const string Header = "Idempotency-Key";

    /// <summary>Tells a replay from an execution; an addition of this system.</summary>
    public const string ReplayedHeader = "Idempotency-Replayed";

    public async Task InvokeAsync(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<IdempotencyHonoured>() is not { } honoured)
        {
            await next(context);
            return;
        }

        var header = context.Request.Headers[Header];
        if (header.Count == 0)
        {
            await (honoured.Required
                ? throw new ApiException(ErrorCodes.MissingIdempotencyKey, $"This route requires the header '{Header}'.")
                : next(context));
            return;
        }

        var key = header.ToString();
        if (key.Length is 0 or > Limits.MaxIdempotencyKeyLength)
        {
            throw ApiException.InvalidField(Header, $"'{Header}' must have 1 to {Limits.MaxIdempotencyKeyLength} characters.");
        }

        var id = Identity(context.GetCaller(), context.Request, key);
        var fingerprint = await FingerprintAsync(context, honoured);
        var claim = await store.ClaimAsync(id, fingerprint, context.RequestAborted);
        if (claim.Lease is { } lease)
        {
            Count(lease.ResourceId is null ? "executed" : "resumed");
            await ExecuteAsync(context, lease);
        }
        else if (claim.Stored is { } stored)
        {
            Count("replayed");
            await ReplayAsync(context.Response, stored, context.RequestAborted);
        }
        else
        {
            Count(claim.Reused ? "reused" : "in_progress");
            throw claim.Reused
                ? new ApiException(ErrorCodes.IdempotencyKeyReused, "The idempotency key was used for a different request.")
                : new ApiException(ErrorCodes.IdempotencyRequestInProgress, "The original request is still executing.");
        }
    }

    /// <summary>Members in order of name, without insignificant space; what is no JSON stays as it is.</summary>
    internal static byte[] Canonical(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            using var output = new MemoryStream();
            using (var writer = new Utf8JsonWriter(output))
            {
                Write(document.RootElement, writer);
            }

            return output.ToArray();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return body.ToArray();
        }

        static void Write(JsonElement element, Utf8JsonWriter writer)
        {
            switch (element.ValueKind)
            {
                case JsonValueKind.Object:
                    writer.WriteStartObject();
                    foreach (var member in element.EnumerateObject().OrderBy(m => m.Name, StringComparer.Ordinal))
                    {
                        writer.WritePropertyName(member.Name);
                        Write(member.Value, writer);
                    }

                    writer.WriteEndObject();
                    break;
                case JsonValueKind.Array:
                    writer.WriteStartArray();
                    foreach (var item in element.EnumerateArray())
                    {
                        Write(item, writer);
                    }

                    writer.WriteEndArray();
                    break;
                default:
                    element.WriteTo(writer);
                    break;
            }
        }
    }

    private static byte[] Identity(Caller caller, HttpRequest request, string key) =>
        SHA256.HashData(Encoding.UTF8.GetBytes($"{caller.OrgId}\n{caller.CredentialId}\n{request.Method}\n{request.Path}\n{key}"));

    /// <summary>
    /// What makes two requests the same (docs/reference/api.md 2.8). A large body is represented by the headers that describe it.
    /// </summary>
    private static async Task<byte[]> FingerprintAsync(HttpContext context, IdempotencyHonoured honoured)
    {
        var request = context.Request;
        var body = honoured.BodyHeaders is { } headers
            ? Encoding.UTF8.GetBytes(string.Join('\n', headers.Select(h => request.Headers[h].ToString().ToLowerInvariant())))
            : Canonical(await RequestBody.BufferAsync(context, context.RequestAborted));
        return SHA256.HashData([.. Encoding.UTF8.GetBytes($"{request.Method}\n{request.Path}\n{request.QueryString}\n"), .. body]);
    }

    private static async Task ReplayAsync(HttpResponse response, StoredResponse stored, CancellationToken cancellationToken)
    {
        response.StatusCode = stored.Status;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = stored.Body.Length;
        response.Headers[ReplayedHeader] = "true";
        await response.Body.WriteAsync(stored.Body, cancellationToken);
    }

    private async Task ExecuteAsync(HttpContext context, IdempotencyLease lease)
    {
        context.Features.Set(new IdempotencyClaim(lease.Id, lease.ResourceId));
        var capture = new ResponseCapture(context.Response.Body);
        context.Features.Set(capture);
        context.Response.Body = capture.Held;
        using var done = new CancellationTokenSource();
        var holding = HoldAsync(lease, done.Token);
        try
        {
            await next(context);
        }
        catch (ApiException)
        {
            await EndAsync(lease => store.ForgetAsync(lease, CancellationToken.None));
            throw;
        }
        catch
        {
            await EndAsync(lease => store.ReleaseAsync(lease, CancellationToken.None));
            throw;
        }
        finally
        {
            context.Response.Body = capture.Client;
        }

        // Stored before it is sent: whoever has the response may repeat the request and get the same one. Only success is stored; see
        // docs/decisions/idempotency.md.
        await EndAsync(lease => context.Response.StatusCode is >= 200 and < 300
            ? store.SaveAsync(lease, new StoredResponse(context.Response.StatusCode, capture.Held.ToArray()), CancellationToken.None)
            : store.ForgetAsync(lease, CancellationToken.None));
        if (!context.Response.HasStarted)
        {
            context.Response.ContentLength = capture.Held.Length;
        }

        capture.Held.Position = 0;
        await capture.Held.CopyToAsync(capture.Client, context.RequestAborted);

        async Task EndAsync(Func<IdempotencyLease, Task> end)
        {
            await done.CancelAsync();
            await holding;
            try
            {
                await end(lease);
            }
            catch (DbException exception)
            {
                // The lease lapses by itself, and a retry finds what was made; the answer at hand is still the right one.
                LogNotRecorded(logger, exception);
            }
        }
    }

    /// <summary>Renews the lease until told to stop.</summary>
    private async Task HoldAsync(IdempotencyLease lease, CancellationToken done)
    {
        using var timer = new PeriodicTimer(IdempotencyStore.Lease / 3, time);
        try
        {
            while (await timer.WaitForNextTickAsync(done))
            {
                try
                {
                    if (!await store.RenewAsync(lease, CancellationToken.None))
                    {
                        LogLost(logger);
                        return;
                    }
                }
                catch (DbException exception)
                {
                    LogNotRecorded(logger, exception);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The request is over.
        }
    }

    private static void Count(string outcome) =>
        ApiTelemetry.IdempotentRequests.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    [LoggerMessage(1201, LogLevel.Error, "The state of an idempotency record could not be written.")]
    private static partial void LogNotRecorded(ILogger logger, Exception exception);

    [LoggerMessage(1202, LogLevel.Warning, "The lease of an idempotency record was lost while its request executes.")]
    private static partial void LogLost(ILogger logger);
}
