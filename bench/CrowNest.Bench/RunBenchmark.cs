using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using CrowNest.Contracts;

namespace CrowNest.Bench;

/// <summary>Workspace runs: what one costs over its command, a large archive beside <c>curl</c> and <c>tar</c>, and many at once.</summary>
internal sealed class RunBenchmark(BenchOptions options, Report report) : IDisposable
{
    private const int SmallArchiveBytes = 1_000_000;
    private const int LargeArchiveBytes = 200_000_000;
    private const int AtOnce = 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("crownest-bench-").FullName;
    private readonly HttpClient _http = new()
    {
        BaseAddress = new Uri(Environment.GetEnvironmentVariable("CROWNEST_API_URL")!.TrimEnd('/') + "/v1/"),
        Timeout = TimeSpan.FromMinutes(10),
        DefaultRequestHeaders = { Authorization = new("Bearer", Environment.GetEnvironmentVariable("CROWNEST_API_KEY")) },
    };

    /// <param name="waitForStock">Returns when the warm pool is full.</param>
    public async Task RunAsync(Func<CancellationToken, Task> waitForStock, CancellationToken cancellationToken)
    {
        var small = await PackAsync("small", SmallArchiveBytes, cancellationToken);
        var ours = new Samples();
        for (var i = 0; i < options.Rounds / 2 + 5; i++)
        {
            await waitForStock(cancellationToken);
            var whole = Stopwatch.GetTimestamp();
            var evidence = await RunAsync("true", small, staged: false, cancellationToken);
            var took = Stopwatch.GetElapsedTime(whole).TotalMilliseconds;
            // The first ones meet code that is not compiled for speed yet.
            if (i >= 5)
            {
                ours.Add(took - await CommandMsAsync(evidence, cancellationToken));
            }
        }

        report.Add(new(
            "workspace run of `true` with an archive of 1 MB, over its command", ours.ToString(), "–", "–", "under 150 ms", ours.Median < 150));
        await LargeAsync(waitForStock, cancellationToken);
        await ManyAsync(small, waitForStock, cancellationToken);
    }

    public void Dispose()
    {
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task LargeAsync(Func<CancellationToken, Task> waitForStock, CancellationToken cancellationToken)
    {
        var large = await PackAsync("large", LargeArchiveBytes, cancellationToken);
        Samples ours = new(), tools = new();
        for (var i = 0; i < 5; i++)
        {
            await waitForStock(cancellationToken);
            await ours.TimeAsync(() => UploadedToRunningAsync(large, cancellationToken));
            // Into memory, as a workspace is; the upload to a folder, as the default store is.
            await tools.TimeAsync(() => Docker.ShellAsync(
                "curl -sS -T \"$1\" \"file://$2/stored\" && sync \"$2/stored\" && mkdir -p /dev/shm/crownest-bench "
                + "&& tar xzf \"$2/stored\" -C /dev/shm/crownest-bench", [large.Path, _folder], cancellationToken));
            await Docker.ShellAsync("rm -rf /dev/shm/crownest-bench", [], cancellationToken);
        }

        report.AddRatio("archive of 200 MB, staged and extracted", ours, "`curl` to the store, then `tar xzf`", tools, 2);
    }

    private async Task ManyAsync(Archive archive, Func<CancellationToken, Task> waitForStock, CancellationToken cancellationToken)
    {
        await waitForStock(cancellationToken);
        var watch = Stopwatch.StartNew();
        var evidence = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => RunAsync("true", archive, staged: false, cancellationToken)));
        var failed = evidence.Count(e => (string?)e["status"] != WorkspaceRunStatus.Succeeded);
        report.Add(new(
            $"{AtOnce} workspace runs started at once", $"{failed} errors, {watch.Elapsed.TotalSeconds:0.0} s for all", "–", "–", "no error",
            failed == 0));
    }

    /// <summary>A run from its creation to its evidence.</summary>
    private async Task<JsonObject> RunAsync(string command, Archive archive, bool staged, CancellationToken cancellationToken)
    {
        var id = await StartAsync(command, archive, staged, cancellationToken);
        await FollowAsync(id, "\"terminal\"", cancellationToken);
        return (await _http.GetFromJsonAsync<JsonObject>($"workspace-runs/{id}/evidence", cancellationToken))!["evidence"]!.AsObject();
    }

    private async Task<bool> UploadedToRunningAsync(Archive archive, CancellationToken cancellationToken)
    {
        var id = await StartAsync("true", archive, staged: true, cancellationToken);
        await FollowAsync(id, "\"running\"", cancellationToken);
        return true;
    }

    private async Task<string> StartAsync(string command, Archive archive, bool staged, CancellationToken cancellationToken)
    {
        var created = await PostAsync("workspace-runs", new { command, template = BenchOptions.Template }, cancellationToken);
        var id = (string)created["workspaceRun"]!["id"]!;
        if (staged)
        {
            var transfer = (await PostAsync(
                $"workspace-runs/{id}/archive-transfer", new { sha256 = archive.Sha256, sizeBytes = archive.Bytes }, cancellationToken))["transfer"]!;
            await PutAsync((string)transfer["uploadUrl"]!, archive, cancellationToken);
            await PostAsync(
                $"workspace-runs/{id}/archive/finalize",
                new { sha256 = archive.Sha256, sizeBytes = archive.Bytes, uploadId = (string)transfer["id"]! }, cancellationToken);
        }
        else
        {
            await PutAsync($"workspace-runs/{id}/archive", archive, cancellationToken);
        }

        await PostAsync($"workspace-runs/{id}/start", null, cancellationToken);
        return id;
    }

    private async Task FollowAsync(string id, string until, CancellationToken cancellationToken)
    {
        using var response = await _http.GetAsync(
            $"workspace-runs/{id}/events?stream=true", HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal) && line.Contains(until, StringComparison.Ordinal))
            {
                return;
            }

            if (line.Contains("\"type\":\"terminal\"", StringComparison.Ordinal))
            {
                throw new InvalidOperationException($"Run {id} ended early: {line}");
            }
        }

        throw new InvalidOperationException($"The events of {id} ended before {until}.");
    }

    private async Task<double> CommandMsAsync(JsonObject evidence, CancellationToken cancellationToken)
    {
        var command = await _http.GetFromJsonAsync<JsonObject>($"commands/{(string)evidence["commandId"]!}", cancellationToken);
        return (double)command!["command"]!["durationMs"]!;
    }

    private async Task<JsonObject> PostAsync(string path, object? body, CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsync(path, body is null ? null : JsonContent.Create(body), cancellationToken);
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        return response.IsSuccessStatusCode
            ? JsonNode.Parse(text)!.AsObject()
            : throw new InvalidOperationException($"{path}: {(int)response.StatusCode} {text}");
    }

    private async Task PutAsync(string path, Archive archive, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive.Path);
        using var request = new HttpRequestMessage(HttpMethod.Put, path) { Content = new StreamContent(file, 1 << 20) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/gzip");
        request.Headers.Add("x-crownest-archive-sha256", archive.Sha256);
        request.Headers.Add("x-crownest-archive-size", $"{archive.Bytes}");
        using var response = await _http.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidOperationException($"{path}: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }
    }

    /// <summary>Files of 100 KB of noise, so that the archive is as large as what is in it.</summary>
    private async Task<Archive> PackAsync(string name, int bytes, CancellationToken cancellationToken)
    {
        var source = Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
        const int each = 100_000;
        for (var i = 0; i < bytes / each; i++)
        {
            await File.WriteAllBytesAsync(Path.Combine(source, $"file-{i}"), RandomNumberGenerator.GetBytes(each), cancellationToken);
        }

        var path = Path.Combine(_folder, $"{name}.tar.gz");
        await Docker.ShellAsync("tar czf \"$1\" -C \"$2\" .", [path, source], cancellationToken);
        await using var file = File.OpenRead(path);
        var sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
        return new Archive(path, sha256, file.Length);
    }

    private sealed record Archive(string Path, string Sha256, long Bytes);
}
