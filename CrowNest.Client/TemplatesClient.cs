using CrowNest.Contracts;

namespace CrowNest.Client;

/// <summary><c>/v1/templates</c> (docs/reference/api.md 16).</summary>
public sealed class TemplatesClient
{
    private readonly Transport _transport;

    internal TemplatesClient(Transport transport) => _transport = transport;

    /// <summary>Every template with its newest version.</summary>
    public async Task<IReadOnlyList<Template>> ListAsync(CancellationToken cancellationToken = default) =>
        (await _transport.GetAsync<Page<Template>>("v1/templates", cancellationToken)).Data;

    public async Task<Template> GetAsync(string slug, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(slug);
        if (slug is "." or "..")
            throw new ArgumentException($"'{slug}' is not a template's name.", nameof(slug));
        return (await _transport.GetAsync<TemplateResponse>($"v1/templates/{Uri.EscapeDataString(slug)}", cancellationToken)).Template;
    }
}
