using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>What callers do with runs.</summary>
internal static class RunCalls
{
    public static string Digest(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Bytes that differ from test to test; whether they are an archive is the worker's matter.</summary>
    public static byte[] Archive(int size = 1000)
    {
        var bytes = new byte[size];
        RandomNumberGenerator.Fill(bytes);
        return bytes;
    }

    public static Task<HttpResponseMessage> CreateRunAsync(this Tenant tenant, object? body = null) =>
        tenant.Http.PostAsJsonAsync("/v1/workspace-runs", body ?? new { command = "true" });

    /// <summary>A run that awaits its archive.</summary>
    public static async Task<string> RunAsync(this Tenant tenant, object? body = null)
    {
        using var response = await tenant.CreateRunAsync(body);
        Assert.Equal(201, (int)response.StatusCode);
        return (await response.JsonAsync()).GetProperty("workspaceRun").Text("id")!;
    }

    /// <summary>A run with an archive.</summary>
    public static async Task<string> UploadedAsync(this Tenant tenant, object? body = null)
    {
        var id = await tenant.RunAsync(body);
        using var response = await tenant.UploadAsync(id, Archive());
        Assert.Equal(200, (int)response.StatusCode);
        return id;
    }

    public static Task<HttpResponseMessage> UploadAsync(
        this Tenant tenant, string id, byte[] bytes, string? sha256 = null, string? size = null, bool chunked = false, string? key = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Put, $"/v1/workspace-runs/{id}/archive")
        {
            Content = chunked ? new StreamContent(new MemoryStream(bytes)) : new ByteArrayContent(bytes),
        };
        request.Headers.TransferEncodingChunked = chunked;
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/gzip");
        request.Headers.TryAddWithoutValidation("x-crownest-archive-sha256", sha256 ?? Digest(bytes));
        request.Headers.TryAddWithoutValidation("x-crownest-archive-size", size ?? $"{bytes.Length}");
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return tenant.Http.SendAsync(request);
    }

    /// <summary>POST without a body.</summary>
    public static Task<HttpResponseMessage> PostAsync(this Tenant tenant, string id, string action) =>
        tenant.Http.PostAsync(new Uri($"/v1/workspace-runs/{id}/{action}", UriKind.Relative), null);

    public static Task<JsonElement> ReadRunAsync(this Tenant tenant, string id) =>
        tenant.GetAsync($"/v1/workspace-runs/{id}", "workspaceRun");

    public static Task<HttpResponseMessage> GetAsync(this Tenant tenant, string path) =>
        tenant.Http.GetAsync(new Uri(path, UriKind.Relative));

    /// <summary>Every event of the run.</summary>
    public static async Task<List<JsonElement>> EventsAsync(this Tenant tenant, string id) =>
        [.. (await tenant.GetAsync($"/v1/workspace-runs/{id}/events?limit=500", "data")).EnumerateArray()];

    /// <summary>The events without their times, for comparison: <c>status:running</c>, <c>stdout:a</c>, <c>terminal</c>.</summary>
    public static async Task<string> StoryAsync(this Tenant tenant, string id) => string.Join(
        ' ', (await tenant.EventsAsync(id)).Select(e =>
        e.Text("type") switch
        {
            "status" => e.Text("status"),
            "archive_progress" => $"progress:{e.Number("receivedBytes")}/{e.Number("sizeBytes")}",
            "stdout" or "stderr" => $"{e.Text("type")}:{e.Text("data")}",
            var type => type,
        }));

    /// <summary>Files of the object store that belong to the run.</summary>
    public static List<string> Objects(this Tenant tenant, string id) => Directory.Exists(tenant.Fixture.Database.ObjectsDirectory)
        ? [.. Directory.EnumerateFiles(tenant.Fixture.Database.ObjectsDirectory, "*", SearchOption.AllDirectories)
                .Where(f => f.Contains(id, StringComparison.Ordinal))]
        : [];

    /// <summary>Uploads that have not become objects.</summary>
    public static int UnfinishedObjects(this Tenant tenant) =>
        Directory.GetFiles(Path.Combine(tenant.Fixture.Database.ObjectsDirectory, ".unfinished")).Length;
}

/// <summary>The worker of a run, step by step, as the real one writes it.</summary>
internal sealed class TestRunWorker(IServiceProvider services, string workerId)
{
    private readonly WorkspaceRunStore _runs = services.GetRequiredService<WorkspaceRunStore>();
    private readonly RunCompletion _closing = services.GetRequiredService<RunCompletion>();
    private readonly RunWakeUps _wakeUps = services.GetRequiredService<RunWakeUps>();

    public static TestRunWorker Of(ResourceFixture fixture, ApiInstance? api = null) =>
        new((api ?? fixture.Api).Services, fixture.Worker.Id);

    public async Task ClaimAsync(string id) => Assert.NotNull(await _runs.ClaimAsync(id, workerId, DateTimeOffset.UtcNow, default));

    public async Task SandboxAsync(string id, string sandboxId) =>
        Assert.NotNull(await _runs.AssignSandboxAsync(id, workerId, sandboxId, default));

    /// <summary>Brings the run from <c>starting</c> to a later status.</summary>
    public async Task AdvanceAsync(string id, string to)
    {
        string[] way = [WorkspaceRunStatus.Extracting, WorkspaceRunStatus.Running, WorkspaceRunStatus.Collecting];
        foreach (var status in way[..(Array.IndexOf(way, to) + 1)])
        {
            await StepAsync(id, status);
        }
    }

    public async Task StepAsync(string id, string to)
    {
        Assert.NotNull(await _runs.AdvanceAsync(id, workerId, to, Told(WorkspaceRunEventType.Status) with { Status = to }, default));
        await _wakeUps.PublishAsync(id);
    }

    public async Task WriteAsync(string id, params string[] chunks)
    {
        var row = (await _runs.FindAsync(id, default))!;
        var events = chunks.Select(c => Told(WorkspaceRunEventType.Stdout) with { Data = c }).ToList();
        Assert.NotNull(await _runs.AppendOutputAsync(
            id, workerId, row.OutputSeq, row.OutputSeq + chunks.Length, chunks.Sum(c => c.Length), false, events, default));
        await _wakeUps.PublishAsync(id);
    }

    /// <summary>Evidence, final status, cleanup, terminal.</summary>
    public async Task EndAsync(string id, string status = WorkspaceRunStatus.Succeeded, string? reason = null, int? exitCode = 0)
    {
        if (exitCode is { } code)
        {
            Assert.NotNull(await _runs.SaveExitCodeAsync(id, workerId, code, default));
        }

        var now = DateTimeOffset.UtcNow;
        Assert.NotNull(await _closing.FinishAsync(id, workerId, new WorkspaceRunEnd(status, now, reason), from: null, default));
        await _wakeUps.PublishAsync(id);
        await _runs.SaveCleanupAsync(id, WorkspaceRunCleanup.Succeeded, default);
        Assert.NotNull(await _closing.CloseAsync(id, default));
        await _wakeUps.PublishAsync(id);
    }

    /// <summary>All of it, for a run that was started.</summary>
    public async Task CarryAsync(string id, params string[] output)
    {
        await ClaimAsync(id);
        await AdvanceAsync(id, WorkspaceRunStatus.Running);
        if (output.Length > 0)
        {
            await WriteAsync(id, output);
        }

        await StepAsync(id, WorkspaceRunStatus.Collecting);
        await EndAsync(id);
    }

    private static WorkspaceRunEvent Told(string type) => new() { Type = type, Seq = 0, CreatedAt = DateTimeOffset.UtcNow };
}
