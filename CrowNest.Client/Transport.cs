using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary>One HTTP exchange with the API: credential, JSON, errors (docs/reference/clients.md 1). Repeats nothing.</summary>
/// <param name="timeout">Limit of an exchange that carries no stream; of a stream, until its headers.</param>
internal sealed class Transport(HttpClient http, Uri baseUrl, string credential, TimeSpan timeout)
{
    private const string Json = "application/json";
    private static readonly string UserAgent =
        $"crownest-dotnet/{typeof(Transport).Assembly.GetName().Version?.ToString(3)}";

    public Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) =>
        SendAsync<T>(HttpMethod.Get, path, body: null, idempotencyKey: null, cancellationToken);

    public async Task<T> SendAsync<T>(
        HttpMethod method, string path, object? body, string? idempotencyKey, CancellationToken cancellationToken)
    {
        using var request = Request(method, path, Json);
        if (body is not null)
        {
            // In one piece and with its length: a stream of it would go out, and be waited for, in sixteen-kilobyte chunks.
            request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, body.GetType(), CrowNestJson.Options));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(Json) { CharSet = "utf-8" };
        }

        if (idempotencyKey is not null)
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        using var response = await ExchangeAsync(request, HttpCompletionOption.ResponseContentRead, timeout, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    /// <summary>Sends a stream, which stays the caller's.</summary>
    /// <param name="headers">Further headers of the request.</param>
    public async Task<T> UploadAsync<T>(
        string path, Stream content, string contentType, CancellationToken cancellationToken, string? idempotencyKey = null,
        params (string Name, string Value)[] headers)
    {
        using var request = Request(HttpMethod.Put, path, Json);
        SetContent(request, content);
        request.Content!.Headers.ContentType = new MediaTypeHeaderValue(contentType);
        foreach (var (name, value) in headers)
            request.Headers.Add(name, value);
        if (idempotencyKey is not null)
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        using var response = await ExchangeAsync(
            request, HttpCompletionOption.ResponseContentRead, Timeout.InfiniteTimeSpan, cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    /// <summary>Sends a stream, which stays the caller's, where the API has said, which may be another server.</summary>
    /// <param name="headers">What that server wants to see; the credential is only for the API's own origin (docs/reference/clients.md
    /// 1.5).</param>
    public async Task UploadToAsync(
        Uri url, Stream content, IReadOnlyDictionary<string, string> headers, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, url);
        SetContent(request, content);
        foreach (var (name, value) in headers)
        {
            // A header is of the request or of its content; one that the stream itself decides on must not be there twice.
            if (!string.Equals(name, "content-length", StringComparison.OrdinalIgnoreCase)
                && !request.Headers.TryAddWithoutValidation(name, value))
                request.Content!.Headers.TryAddWithoutValidation(name, value);
        }

        if (Uri.Compare(url, baseUrl, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", credential);
        using var response = await ExchangeAsync(
            request, HttpCompletionOption.ResponseContentRead, Timeout.InfiniteTimeSpan, cancellationToken);
    }

    /// <summary>Opens a stream of bytes.</summary>
    public async Task<Download> DownloadAsync(string path, RangeHeaderValue? range, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Get, path, "*/*");
        request.Headers.Range = range;
        var response = await ExchangeAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout, cancellationToken);
        return await Download.OpenAsync(response, cancellationToken);
    }

    /// <summary>Sends and returns once the headers are there; the caller disposes the response.</summary>
    public async Task<HttpResponseMessage> OpenAsync(string path, string accept, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Get, path, accept);
        return await ExchangeAsync(request, HttpCompletionOption.ResponseHeadersRead, timeout, cancellationToken);
    }

    /// <summary>An id as a path segment.</summary>
    /// <exception cref="ArgumentException">It does not have the form of H15, so that it could name another route.</exception>
    public static string Segment(string id, string prefix) =>
        Ids.IsValid(id, prefix) ? id : throw new ArgumentException($"'{id}' is not an id of the form {prefix}_….", nameof(id));

    private HttpRequestMessage Request(HttpMethod method, string path, string accept)
    {
        var request = new HttpRequestMessage(method, new Uri(baseUrl, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", credential);
        request.Headers.Accept.ParseAdd(accept);
        request.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
        return request;
    }

    private static void SetContent(HttpRequestMessage request, Stream content)
    {
        // A refusal that does not depend on the bytes is then heard before they are sent.
        request.Headers.ExpectContinue = true;
        request.Content = new StreamContent(new Borrowed(content), bufferSize: 128 * 1024);
        request.Content.Headers.ContentLength = content.CanSeek ? content.Length - content.Position : null;
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(CrowNestJson.Options, cancellationToken)
                ?? throw Unusable(response, "an empty body", null);
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException)
        {
            throw Unusable(response, "a body that is not the JSON of the contract", exception);
        }
    }

    private async Task<HttpResponseMessage> ExchangeAsync(
        HttpRequestMessage request, HttpCompletionOption completion, TimeSpan limit, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(limit);
        try
        {
            response = await http.SendAsync(request, completion, limited.Token);
        }
        catch (Exception exception) when (IsConnectionFailure(exception, cancellationToken))
        {
            throw new CrowNestApiException(
                null,
                CrowNestApiException.ClientCodes.ConnectionFailed,
                $"The API at {baseUrl} did not answer: {exception.Message}",
                innerException: exception);
        }

        if (response.IsSuccessStatusCode)
            return response;
        using (response)
            throw await ReadErrorAsync(response, cancellationToken);
    }

    /// <summary>A timeout of the <see cref="HttpClient"/> surfaces as a cancellation that nobody asked for.</summary>
    internal static bool IsConnectionFailure(Exception exception, CancellationToken cancellationToken) =>
        exception is HttpRequestException or IOException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private static async Task<CrowNestApiException> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        JsonNode? body = null;
        try
        {
            body = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellationToken));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException
            || IsConnectionFailure(exception, cancellationToken))
        {
            return NoEnvelope(response, exception);
        }

        if (body is JsonObject envelope && envelope["error"] is JsonObject error && Text(error["code"]) is { Length: > 0 } code)
        {
            var message = Text(error["message"]) ?? code;
            return new CrowNestApiException(response.StatusCode, code, message, error["details"] as JsonObject)
            {
                RequestId = RequestId(response),
            };
        }

        return NoEnvelope(response, null);
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static CrowNestApiException NoEnvelope(HttpResponseMessage response, Exception? cause) => new(
        response.StatusCode,
        CrowNestApiException.ClientCodes.InvalidErrorResponse,
        $"The server answered {(int)response.StatusCode} without saying why; is there a proxy in front of the API?",
        innerException: cause)
    {
        RequestId = RequestId(response),
    };

    private static CrowNestApiException Unusable(HttpResponseMessage response, string what, Exception? cause) => new(
        response.StatusCode,
        CrowNestApiException.ClientCodes.InvalidResponse,
        $"The server answered {(int)response.StatusCode} with {what}.",
        innerException: cause)
    {
        RequestId = RequestId(response),
    };

    private static string? RequestId(HttpResponseMessage response) =>
        response.Headers.TryGetValues("x-request-id", out var values) ? values.FirstOrDefault() : null;

    /// <summary>A stream that whoever disposes it leaves open.</summary>
    private sealed class Borrowed(Stream inner) : Stream
    {
        public override bool CanRead => inner.CanRead;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            inner.ReadAsync(buffer, offset, count, cancellationToken);

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
