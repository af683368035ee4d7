namespace CrowNest.Client;

/// <summary>Where the API is and who calls it. What is left out comes from the environment.</summary>
public sealed record CrowNestClientOptions
{
    /// <summary>Environment variables in the order in which a credential is looked for (docs/reference/clients.md, head table).</summary>
    private static readonly string[] CredentialVariables = ["CROWNEST_BEARER_TOKEN", "CROWNEST_API_KEY"];

    private const string BaseUrlVariable = "CROWNEST_API_URL";

    /// <summary>The address of a local stack (docs/reference/api.md 2.1).</summary>
    private const string DefaultBaseUrl = "http://127.0.0.1:8787";

    /// <summary>
    /// API key or token, sent as bearer. Default: <c>CROWNEST_BEARER_TOKEN</c>, then <c>CROWNEST_API_KEY</c>. Without any, constructing
    /// the client fails.
    /// </summary>
    public string? Credential { get; init; }

    /// <summary>
    /// Scheme, host, port and optional path prefix of the API; a trailing slash does not matter. Default: <c>CROWNEST_API_URL</c>, then
    /// <c>http://127.0.0.1:8787</c>.
    /// </summary>
    public string? BaseUrl { get; init; }

    /// <summary>Clock of the reconnect delays.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>
    /// Waits between attempts to continue a stream without progress (docs/reference/clients.md 1.2); internal for testing.
    /// </summary>
    internal IReadOnlyList<TimeSpan> ReconnectDelays { get; init; } =
    [
        TimeSpan.FromMilliseconds(250),
        TimeSpan.FromMilliseconds(500),
        TimeSpan.FromSeconds(1),
        TimeSpan.FromSeconds(2),
        TimeSpan.FromSeconds(4),
    ];

    internal string ResolveCredential(Func<string, string?> environment)
    {
        var credential = CredentialVariables.Select(environment).Prepend(Credential)
            .FirstOrDefault(value => !string.IsNullOrWhiteSpace(value));
        return credential?.Trim() ?? throw new ArgumentException(
            $"A credential is needed: set {nameof(Credential)}, or the environment variable {string.Join(" or ", CredentialVariables)}.");
    }

    internal Uri ResolveBaseUrl(Func<string, string?> environment)
    {
        var text = new[] { BaseUrl, environment(BaseUrlVariable) }
            .FirstOrDefault(value => !string.IsNullOrWhiteSpace(value)) ?? DefaultBaseUrl;
        if (!Uri.TryCreate(text.Trim(), UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            throw new ArgumentException($"'{text}' is not an http or https address.");
        // Relative routes are appended to the path, so a prefix like https://host/crownest survives only with its slash.
        return new Uri(url.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/");
    }
}
