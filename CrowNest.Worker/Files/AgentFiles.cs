using System.Net;
using System.Text.Json;
using CrowNest.Platform.Nodes;
using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Files;

/// <summary>
/// Files of a sandbox for the worker's own purposes (docs/protocols.md 2.4). Throws as <see cref="AgentClient"/> does.
/// </summary>
internal sealed class AgentFiles(TimeProvider clock)
{
    private const long MaxStatBytes = 64 * 1024;
    private static readonly TimeSpan Answer = TimeSpan.FromSeconds(30);

    /// <summary>The last files of an archive are written after its body has arrived.</summary>
    private static readonly TimeSpan Extracted = TimeSpan.FromSeconds(90);

    /// <summary>How long an agent may neither take nor give a byte of a file.</summary>
    internal TimeSpan Stall { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Opens a file for reading.</summary>
    /// <param name="path">A workspace path.</param>
    /// <param name="maxBytes">A larger one is refused with <c>file_too_large</c>.</param>
    /// <param name="cancellationToken">Also ends the reading.</param>
    public async Task<OpenedFile> OpenAsync(AgentClient agent, string path, long maxBytes, CancellationToken cancellationToken)
    {
        var patience = new AgentTimeouts(clock, cancellationToken);
        HttpResponseMessage? response = null;
        try
        {
            patience.Expect(Answer);
            using var request = new HttpRequestMessage(HttpMethod.Get, Query("content", ("path", path), ("maxBytes", $"{maxBytes}")));
            response = await agent.OpenAsync(request, patience);
            CheckStatus(response);
            var head = FileHead.Read(response, maxBytes);
            return new OpenedFile(head, await AgentBody.OpenAsync(response, head.SizeBytes, Stall, patience), patience);
        }
        catch
        {
            response?.Dispose();
            patience.Dispose();
            throw;
        }
    }

    /// <summary>Writes a file, whole or not at all. A <paramref name="content"/> that fails ends it, and its exception passes.</summary>
    /// <param name="content">Exactly the bytes that <paramref name="import"/> tells of.</param>
    public async Task<AgentFile> WriteAsync(AgentClient agent, ImportObject import, Stream content, CancellationToken cancellationToken)
    {
        using var patience = new AgentTimeouts(clock, cancellationToken);
        using var body = new RelayedContent(content, import.SizeBytes, "application/octet-stream", Stall, Answer, patience);
        using var request = new HttpRequestMessage(HttpMethod.Put, Query(
            "content", ("path", import.Path), ("overwrite", Flag(import.Overwrite)), ("createParents", Flag(import.CreateParents)),
            ("maxBytes", $"{import.SizeBytes}"), ("sha256", import.Sha256)))
        {
            Content = body,
        };
        patience.Expect(Answer);
        try
        {
            using var response = await agent.OpenAsync(request, patience);
            CheckStatus(response);
            await using var answer = await AgentBody.OpenAsync(response, MaxStatBytes, eachRead: null, patience);
            var file = await JsonSerializer.DeserializeAsync(answer, AgentJson.Default.AgentFile, patience.Token);
            return file is { Type: "file" } && file.SizeBytes == import.SizeBytes && file.Sha256 == import.Sha256
                ? file
                : throw new AgentUnavailableException("The agent tells of another file than was written.") { BrokeProtocol = true };
        }
        catch (AgentUnavailableException) when (body.SourceFailure is { } failure)
        {
            throw failure;
        }
        catch (JsonException exception)
        {
            throw new AgentUnavailableException("The agent's answer is not the protocol's.", exception) { BrokeProtocol = true };
        }
    }

    /// <summary>
    /// Extracts a gzip-compressed tar into a directory (docs/reference/api.md 10.6). A <paramref name="content"/> that fails ends it, and
    /// its exception passes; what was extracted by then stays.
    /// </summary>
    /// <param name="maxBytes">Ceiling of what comes out, like <paramref name="maxEntries"/>: <c>archive_too_large</c>.</param>
    public async Task<AgentExtracted> ExtractAsync(
        AgentClient agent, string path, Stream content, long length, long maxBytes, int maxEntries, CancellationToken cancellationToken)
    {
        using var patience = new AgentTimeouts(clock, cancellationToken);
        using var body = new RelayedContent(content, length, "application/gzip", Stall, Extracted, patience);
        using var request = new HttpRequestMessage(
            HttpMethod.Put, Query("archive", ("path", path), ("maxBytes", $"{maxBytes}"), ("maxEntries", $"{maxEntries}")))
        {
            Content = body,
        };
        patience.Expect(Answer);
        try
        {
            using var response = await agent.OpenAsync(request, patience);
            CheckStatus(response);
            await using var answer = await AgentBody.OpenAsync(response, MaxStatBytes, eachRead: null, patience);
            var extracted = await JsonSerializer.DeserializeAsync(answer, AgentJson.Default.AgentExtracted, patience.Token);
            return extracted is { Entries: >= 0, Bytes: >= 0 } && extracted.Entries <= maxEntries && extracted.Bytes <= maxBytes
                ? extracted
                : throw new AgentUnavailableException("The agent tells of more than was allowed.") { BrokeProtocol = true };
        }
        catch (AgentUnavailableException) when (body.SourceFailure is { } failure)
        {
            throw failure;
        }
        catch (JsonException exception)
        {
            throw new AgentUnavailableException("The agent's answer is not the protocol's.", exception) { BrokeProtocol = true };
        }
    }

    private static void CheckStatus(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw new AgentUnavailableException($"The agent breaks the protocol: {(int)response.StatusCode}.") { BrokeProtocol = true };
        }
    }

    private static string Flag(bool value) => value ? "true" : "false";

    private static Uri Query(string route, params (string Name, string Value)[] query) => new(
        $"http://agent/files/{route}?" + string.Join('&', query.Select(q => $"{q.Name}={Uri.EscapeDataString(q.Value)}")),
        new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
}
