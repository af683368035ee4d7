using System.Net.Http.Headers;

namespace CrowNest.Client;

/// <summary>Bytes that are still arriving. Dispose it to end the transfer.</summary>
public sealed class Download : IAsyncDisposable, IDisposable
{
    private readonly HttpResponseMessage _response;

    private Download(HttpResponseMessage response, Stream content) => (_response, Content) = (response, content);

    /// <summary>Not seekable. A transfer that breaks throws <see cref="IOException"/> or <see cref="HttpRequestException"/>.</summary>
    public Stream Content { get; }

    /// <summary>Bytes that <see cref="Content"/> gives; null when the server does not know.</summary>
    public long? Length => _response.Content.Headers.ContentLength;

    public string? ContentType => _response.Content.Headers.ContentType?.ToString();

    /// <summary>Name that the server proposes. It comes from the sandbox: do not use it as a path without checking it.</summary>
    public string? FileName => Disposition?.FileNameStar ?? Disposition?.FileName?.Trim('"');

    /// <summary>What part of the whole this is; null: all of it.</summary>
    public ContentRangeHeaderValue? Range => _response.Content.Headers.ContentRange;

    public async ValueTask DisposeAsync()
    {
        await Content.DisposeAsync();
        _response.Dispose();
    }

    public void Dispose()
    {
        Content.Dispose();
        _response.Dispose();
    }

    internal static async Task<Download> OpenAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            return new Download(response, await response.Content.ReadAsStreamAsync(cancellationToken));
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private ContentDispositionHeaderValue? Disposition => _response.Content.Headers.ContentDisposition;
}
