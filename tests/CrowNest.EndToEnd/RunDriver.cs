using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.EndToEnd;

/// <summary>An archive to run.</summary>
internal sealed record RunArchive(byte[] Bytes)
{
    public string Sha256 { get; } = Convert.ToHexStringLower(SHA256.HashData(Bytes));

    /// <param name="zeros">Length of a further file that packs to almost nothing and takes its time to unpack.</param>
    public static RunArchive Of(string name, string content, long zeros = 0)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
        using (var tar = new TarWriter(gzip))
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(content)) });
            if (zeros > 0)
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "zeros") { DataStream = new MemoryStream(new byte[zeros]) });
            }
        }

        return new RunArchive(bytes.ToArray());
    }
}

/// <summary>Workspace runs over plain HTTP, as a client that never gives up on a lost connection.</summary>
internal sealed class RunDriver(HttpClient http)
{
    public async Task<string> StartAsync(object request, RunArchive archive)
    {
        var id = await CreateAsync(request);
        await UploadAsync(id, archive);
        await StartAsync(id);
        return id;
    }

    public async Task<string> CreateAsync(object request)
    {
        using var response = await http.PostAsJsonAsync("v1/workspace-runs", request);
        return (await ReadAsync<WorkspaceRunResponse>(response)).WorkspaceRun.Id;
    }

    public async Task UploadAsync(string id, RunArchive archive)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"v1/workspace-runs/{id}/archive") { Content = new ByteArrayContent(archive.Bytes) };
        request.Headers.Add("x-crownest-archive-sha256", archive.Sha256);
        request.Headers.Add("x-crownest-archive-size", $"{archive.Bytes.Length}");
        using var response = await http.SendAsync(request);
        await ReadAsync<WorkspaceRunArchiveResponse>(response);
    }

    public async Task StartAsync(string id)
    {
        using var response = await http.PostAsync($"v1/workspace-runs/{id}/start", null);
        await ReadAsync<WorkspaceRunResponse>(response);
    }

    public async Task<ArchiveTransfer> AnnounceAsync(string id, RunArchive archive)
    {
        using var response = await http.PostAsJsonAsync(
            $"v1/workspace-runs/{id}/archive-transfer", new { sha256 = archive.Sha256, sizeBytes = archive.Bytes.Length });
        return (await ReadAsync<ArchiveTransferResponse>(response)).Transfer;
    }

    public async Task FinalizeAsync(string id, ArchiveTransfer transfer, RunArchive archive)
    {
        using var response = await http.PostAsJsonAsync(
            $"v1/workspace-runs/{id}/archive/finalize",
            new { sha256 = archive.Sha256, sizeBytes = archive.Bytes.Length, uploadId = transfer.Id });
        await ReadAsync<WorkspaceRunArchiveResponse>(response);
    }

    public async Task<WorkspaceRun> GetAsync(string id) =>
        (await ReadAsync<WorkspaceRunResponse>(await http.GetAsync($"v1/workspace-runs/{id}"))).WorkspaceRun;

    public async Task<WorkspaceRunEvidence> EvidenceAsync(string id) =>
        (await ReadAsync<WorkspaceRunEvidenceResponse>(await http.GetAsync($"v1/workspace-runs/{id}/evidence"))).Evidence;

    /// <summary>Every event up to the first that <paramref name="until"/> holds for, or to the last one; resumes what breaks off.</summary>
    public async Task<List<WorkspaceRunEvent>> FollowAsync(string id, Func<WorkspaceRunEvent, bool>? until = null)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var events = new List<WorkspaceRunEvent>();
        while (true)
        {
            try
            {
                var after = events.Count == 0 ? 0 : events[^1].Seq;
                using var response = await http.GetAsync(
                    $"v1/workspace-runs/{id}/events?stream=true&afterSeq={after}", HttpCompletionOption.ResponseHeadersRead, limit.Token);
                response.EnsureSuccessStatusCode();
                using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(limit.Token));
                while (await reader.ReadLineAsync(limit.Token) is { } line)
                {
                    if (!line.StartsWith("data: ", StringComparison.Ordinal))
                    {
                        continue;
                    }

                    var item = JsonSerializer.Deserialize<WorkspaceRunEvent>(line[6..], CrowNestJson.Options)!;
                    if (item.Type == WorkspaceRunEventType.Heartbeat)
                    {
                        continue;
                    }

                    events.Add(item);
                    if (item.Type == WorkspaceRunEventType.Terminal || until?.Invoke(item) == true)
                    {
                        return events;
                    }
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                // The API is away for a moment.
                await Task.Delay(TimeSpan.FromMilliseconds(200), limit.Token);
            }
        }
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode
            ? JsonSerializer.Deserialize<T>(text, CrowNestJson.Options)!
            : throw new HttpRequestException(text, null, response.StatusCode == HttpStatusCode.OK ? null : response.StatusCode);
    }
}
