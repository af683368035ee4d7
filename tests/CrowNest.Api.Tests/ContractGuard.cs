using System.Net;
using System.Text.Json;
using CrowNest.Contracts;
using Xunit.Sdk;

namespace CrowNest.Api.Tests;

/// <summary>Looks at every response of the suite: H1 no null, H3 envelope on every error, H8 no redirect, a request id always.</summary>
internal sealed class ContractGuard : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        var what = $"{request.Method} {request.RequestUri?.PathAndQuery} -> {(int)response.StatusCode}";
        Demand((int)response.StatusCode is not (>= 300 and < 400), $"{what}: a redirect (H8)");
        Demand(response.Headers.Contains("X-Request-Id"), $"{what}: no X-Request-Id");
        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            Demand(response.Headers.WwwAuthenticate.Count == 1, $"{what}: no WWW-Authenticate");
        }

        var type = response.Content.Headers.ContentType?.MediaType;
        if (!response.IsSuccessStatusCode)
        {
            Demand(type == "application/json", $"{what}: an error without JSON (H3)");
        }

        // A stream, or a held response, is not read ahead of its test.
        var isBuffered = response.Content.Headers.ContentLength is not null || !response.IsSuccessStatusCode;
        if (type == "application/json" && request.Method != HttpMethod.Head && isBuffered)
        {
            await response.Content.LoadIntoBufferAsync(cancellationToken);
            using var document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancellationToken));
            RefuseNull(document.RootElement, what);
            if (!response.IsSuccessStatusCode)
            {
                var error = document.RootElement.GetProperty("error");
                Demand(error.GetProperty("code").GetString() is { Length: > 0 } && error.GetProperty("message").GetString() is { Length: > 0 },
                    $"{what}: an incomplete envelope");
            }
        }

        return response;
    }

    /// <summary>Fails on any null member except <c>resetAt</c> of a quota (H1).</summary>
    public static void RefuseNull(JsonElement element, string where)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Null:
                throw new XunitException($"{where}: null (H1)");
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject().Where(m => m.Name != "resetAt"))
                {
                    RefuseNull(member.Value, $"{where}.{member.Name}");
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    RefuseNull(item, $"{where}[]");
                }

                break;
            default:
                break;
        }
    }

    private static void Demand(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new XunitException(otherwise);
        }
    }
}

/// <summary>Shortcuts over responses.</summary>
internal static class ResponseExtensions
{
    public static async Task<JsonElement> JsonAsync(this HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync());
        ContractGuard.RefuseNull(document.RootElement, "body");
        return document.RootElement.Clone();
    }

    public static async Task<JsonElement> JsonAsync(this Task<HttpResponseMessage> response) => await (await response).JsonAsync();

    /// <summary>The envelope's <c>error</c> after checking status and code.</summary>
    public static async Task<JsonElement> ErrorAsync(this Task<HttpResponseMessage> sending, int status, string code)
    {
        using var response = await sending;
        var body = await response.Content.ReadAsStringAsync();
        Demand((int)response.StatusCode == status, $"{(int)response.StatusCode} and not {status}: {body}");
        var error = JsonSerializer.Deserialize<ErrorEnvelope>(body, CrowNestJson.Options)!.Error;
        Demand(error.Code == code, $"'{error.Code}' and not '{code}': {body}");
        using var document = JsonDocument.Parse(body);
        return document.RootElement.GetProperty("error").Clone();

        static void Demand(bool holds, string otherwise)
        {
            if (!holds)
            {
                throw new XunitException(otherwise);
            }
        }
    }
}
