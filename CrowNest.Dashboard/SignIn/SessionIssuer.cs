using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;

namespace CrowNest.Dashboard.SignIn;

/// <param name="Token">The API's session token of one person.</param>
internal sealed record IssuedSession(string Token, DateTimeOffset ExpiresAt, string UserName);

/// <summary>How the redemption of a link went wrong.</summary>
internal enum SignInFailure
{
    /// <summary>Used, expired, or never issued.</summary>
    LinkIsSpent,

    /// <summary>The API did not answer; the link is as good as before.</summary>
    ApiIsAway,

    /// <summary>The API does not accept the dashboard's secret, or gave another answer than agreed.</summary>
    Misconfigured,
}

internal sealed class SignInException(SignInFailure failure, string message, Exception? cause = null) : Exception(message, cause)
{
    public SignInFailure Failure { get; } = failure;
}

/// <summary>The API's internal routes for dashboard sessions: the only calls that carry the deployment's secret.</summary>
internal sealed class SessionIssuer(HttpClient http, IOptions<DashboardOptions> options)
{
    private static readonly string[] NameMembers = ["name", "email", "id"];

    /// <summary>Exchanges the token of a one-time link for a session.</summary>
    /// <exception cref="SignInException">There is no session.</exception>
    public async Task<IssuedSession> RedeemAsync(string linkToken, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "internal/sign-ins")
        {
            Content = JsonContent.Create(new { token = linkToken }, options: CrowNestJson.Options),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Value.DeploymentSecret);
        try
        {
            using var response = await http.SendAsync(request, cancellationToken);
            if (!response.IsSuccessStatusCode)
                throw Refused(response.StatusCode);
            var answer = await response.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
            return new IssuedSession(
                answer.GetProperty("token").GetString() ?? throw new JsonException("token is null"),
                answer.GetProperty("expiresAt").GetDateTimeOffset(),
                NameOf(answer));
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException
            or InvalidOperationException or FormatException)
        {
            throw new SignInException(SignInFailure.Misconfigured, "The API's answer to a sign-in is not what was agreed.", exception);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new SignInException(SignInFailure.ApiIsAway, exception.Message, exception);
        }
    }

    /// <summary>Ends a session. False: the API could not be told, the session ends at its own time.</summary>
    public async Task<bool> EndAsync(string sessionToken, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, "internal/sessions/current");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", sessionToken);
        try
        {
            using var response = await http.SendAsync(request, cancellationToken);
            // 401: it had ended before.
            return response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.Unauthorized;
        }
        catch (Exception exception) when (exception is HttpRequestException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private static SignInException Refused(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => new SignInException(
            SignInFailure.Misconfigured, $"The API does not accept the dashboard or its deployment secret ({(int)status})."),
        >= HttpStatusCode.InternalServerError or HttpStatusCode.TooManyRequests => new SignInException(
            SignInFailure.ApiIsAway, $"The API answered {(int)status}."),
        _ => new SignInException(SignInFailure.LinkIsSpent, $"The API refused the link with {(int)status}."),
    };

    /// <summary>What to call the person: name, else e-mail, else id.</summary>
    private static string NameOf(JsonElement answer)
    {
        if (!answer.TryGetProperty("user", out var user) || user.ValueKind != JsonValueKind.Object)
            return "Signed in";
        return NameMembers
            .Select(member => user.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String
                ? value.GetString()
                : null)
            .FirstOrDefault(text => !string.IsNullOrWhiteSpace(text)) ?? "Signed in";
    }
}
