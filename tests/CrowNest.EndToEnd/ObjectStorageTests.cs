using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>Everything that lasts, on a real S3 server: artifacts, logs, archives, evidence; and the server going away in the middle.</summary>
[Collection(S3StackFixture.S3Collection)]
public sealed class ObjectStorageTests(S3StackFixture stack)
{
    /// <summary>Several parts of an upload, and a piece of one.</summary>
    private const long Large = 40L * 1000 * 1000 + 1;

    /// <summary>Takes the server long enough to be met in the middle.</summary>
    private const long Huge = 200L * 1000 * 1000;
    private readonly CrowNestClient _client = stack.Client;
    private readonly RunDriver _runs = new(stack.Http);

    [S3Fact]
    public async Task Artifact_OfManyParts_IsTheSameOnEveryWay()
    {
        var source = await stack.CreateAsync();
        var sha256 = await MakeAsync(source.Id, "out.bin", Large);
        var artifact = await _client.Artifacts.CreateAsync(source.Id, new CreateArtifactRequest { Path = "out.bin", RemotePath = "builds/7/out.bin" });
        Assert.Equal((Large, sha256, "builds/7/out.bin"), (artifact.SizeBytes, artifact.Sha256, artifact.RemotePath));
        await _client.Sandboxes.KillAsync(source.Id);

        var whole = await ReadAsync(await _client.Artifacts.OpenAsync(artifact.Id));
        Assert.Equal(sha256, Convert.ToHexStringLower(SHA256.HashData(whole)));
        using var anyone = new HttpClient();
        var link = await _client.Artifacts.GetArtifactUrlAsync(artifact.Id, 3600);
        Assert.Equal(whole, await anyone.GetByteArrayAsync(link.Url));
        using var part = new HttpRequestMessage(HttpMethod.Get, link.Url) { Headers = { Range = new(8_388_600, 8_388_700) } };
        using var partial = await anyone.SendAsync(part);
        Assert.Equal(HttpStatusCode.PartialContent, partial.StatusCode);
        Assert.Equal(whole[8_388_600..8_388_701], await partial.Content.ReadAsByteArrayAsync());

        var target = await stack.CreateAsync();
        var imported = await _client.Files.ImportArtifactAsync(
            target.Id, new ImportArtifactRequest { ArtifactId = artifact.Id, Path = "new/folder/in.bin" });
        Assert.Equal((Large, sha256), (imported.File.SizeBytes, imported.Sha256));
        Assert.Equal(sha256, await HashAsync(target.Id, "new/folder/in.bin"));

        Assert.Contains(artifact.ObjectKey, await stack.KeysAsync("artifacts/"));
        await _client.Artifacts.DeleteAsync(artifact.Id);
        Assert.DoesNotContain(artifact.ObjectKey, await stack.KeysAsync("artifacts/"));
        using var gone = await anyone.GetAsync(link.Url);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        var removed = await Assert.ThrowsAsync<CrowNestApiException>(() => _client.Artifacts.GetAsync(artifact.Id));
        Assert.Equal((HttpStatusCode.NotFound, ErrorCodes.NotFound), (removed.Status, removed.Code));
    }

    [S3Fact]
    public async Task Artifact_OfAFileThatGrows_IsWhatWasStored()
    {
        var sandbox = await stack.CreateAsync();
        await MakeAsync(sandbox.Id, "log", Large);
        var writer = await stack.StartCommandAsync(sandbox.Id, "while :; do echo more >> log; done");
        var artifact = await _client.Artifacts.CreateAsync(sandbox.Id, new CreateArtifactRequest { Path = "log" });
        await _client.Commands.CancelAsync(writer.Id, CancelMode.Force);

        var stored = await ReadAsync(await _client.Artifacts.OpenAsync(artifact.Id));
        Assert.Equal((artifact.SizeBytes, artifact.Sha256), (stored.Length, Convert.ToHexStringLower(SHA256.HashData(stored))));
        Assert.InRange(artifact.SizeBytes, Large, long.MaxValue);
    }

    [S3Fact]
    public async Task Export_StoreGoesAwayInTheMiddle_FailsClearlyLeavesNothingAndWorksAgain()
    {
        var sandbox = await stack.CreateAsync();
        var sha256 = await MakeAsync(sandbox.Id, "out.bin", Huge);
        var kept = (await stack.KeysAsync("artifacts/")).Order(StringComparer.Ordinal).ToList();
        var before = stack.Way.Sent;
        var exporting = _client.Artifacts.CreateAsync(sandbox.Id, new CreateArtifactRequest { Path = "out.bin" });
        await Eventually.HoldsAsync(() => stack.Way.Sent > before + Large, "the export is under way");
        stack.Way.Cut();
        try
        {
            var failure = await Assert.ThrowsAsync<CrowNestApiException>(() => exporting);
            Assert.Equal((HttpStatusCode.BadGateway, ErrorCodes.DownloadExportFailed), (failure.Status, failure.Code));
            Assert.Empty((await _client.Artifacts.ListAsync(new() { SandboxId = sandbox.Id })).Data);
        }
        finally
        {
            stack.Way.IsCut = false;
        }

        await Eventually.HoldsAsync(
            async () => (await stack.UnfinishedAsync()).Count == 0, "the parts of the failed upload are dropped", StackFixture.Patience);
        Assert.Equal(kept, (await stack.KeysAsync("artifacts/")).Order(StringComparer.Ordinal));
        var artifact = await _client.Artifacts.CreateAsync(sandbox.Id, new CreateArtifactRequest { Path = "out.bin" });
        Assert.Equal((Huge, sha256), (artifact.SizeBytes, artifact.Sha256));
        Assert.Equal(artifact.Id, Assert.Single((await _client.Artifacts.ListAsync(new() { SandboxId = sandbox.Id })).Data).Id);
        Assert.Equal(
            kept.Append(artifact.ObjectKey).Order(StringComparer.Ordinal), (await stack.KeysAsync("artifacts/")).Order(StringComparer.Ordinal));
    }

    [S3Fact]
    public async Task Download_StoreGoesAwayInTheMiddle_NeverLooksWhole()
    {
        var sandbox = await stack.CreateAsync();
        await MakeAsync(sandbox.Id, "out.bin", Huge);
        var artifact = await _client.Artifacts.CreateAsync(sandbox.Id, new CreateArtifactRequest { Path = "out.bin" });
        await using (var download = await _client.Artifacts.OpenAsync(artifact.Id))
        {
            await download.Content.ReadExactlyAsync(new byte[1000]);
            stack.Way.Cut();
            try
            {
                await Assert.ThrowsAnyAsync<Exception>(() => download.Content.CopyToAsync(Stream.Null));
            }
            finally
            {
                stack.Way.IsCut = false;
            }
        }

        Assert.Equal(Huge, (await ReadAsync(await _client.Artifacts.OpenAsync(artifact.Id))).Length);
    }

    [S3Fact]
    public async Task Command_CollectedAndFinished_IsKeptWithItsLog()
    {
        var sandbox = await stack.CreateAsync();
        var command = await _client.Commands.RunAsync(sandbox.Id, new RunCommandRequest
        {
            Command = "echo kept | tee report.txt",
            Collect = [new CollectRequest("report.txt"), new CollectRequest("missing")],
        });
        Assert.Equal((CollectStatus.Partial, ErrorCodes.FileNotFound), (command.CollectStatus, command.CollectErrors!.Single().Code));
        var artifact = Assert.Single((await _client.Artifacts.ListAsync(new() { SandboxId = sandbox.Id })).Data);
        Assert.Equal("kept\n"u8.ToArray(), await ReadAsync(await _client.Artifacts.OpenAsync(artifact.Id)));

        await Eventually.HoldsAsync(
            async () => (await stack.KeysAsync("logs/")).Any(key => key.EndsWith(command.Id, StringComparison.Ordinal)), "the log is an object");
        // Redis comes back empty: what is read then is the object.
        await stack.App.KillResourceAsync("redis");
        await stack.HealthyAsync("redis");
        Assert.Equal("kept\n", string.Concat((await _client.Commands.LogsAsync(command.Id)).Data.Select(chunk => chunk.Data)));
    }

    [S3Fact]
    public async Task Run_StagedInParts_KeepsArchiveArtifactsAndEvidence()
    {
        var archive = RunArchive.Of("name", Convert.ToHexString(RandomNumberGenerator.GetBytes(12_000_000)));
        var id = await _runs.CreateAsync(Request("sha256sum name | tee sum", "sum"));
        var transfer = await _runs.AnnounceAsync(id, archive);
        using (var sent = await stack.Http.PutAsync(transfer.UploadUrl, new ByteArrayContent(archive.Bytes)))
        {
            Assert.Equal(HttpStatusCode.NoContent, sent.StatusCode);
        }

        await _runs.FinalizeAsync(id, transfer, archive);
        await _runs.StartAsync(id);
        await _runs.FollowAsync(id);

        var evidence = await _runs.EvidenceAsync(id);
        Assert.Equal((WorkspaceRunStatus.Succeeded, archive.Sha256), (evidence.Status, evidence.Archive!.Sha256));
        Assert.Equal(RunEvidence.Digest(evidence), evidence.EvidenceSha256);
        var signed = (await stack.Http.GetStringAsync($"v1/workspace-runs/{id}/evidence?format=jws")).Split('.');
        using (var keys = JsonDocument.Parse(await stack.Http.GetStringAsync(".well-known/jwks.json")))
        using (var header = JsonDocument.Parse(Base64Url.DecodeFromChars(signed[0])))
        {
            var kid = header.RootElement.GetProperty("kid").GetString();
            var key = keys.RootElement.GetProperty("keys").EnumerateArray().Single(k => k.GetProperty("kid").GetString() == kid);
            using var verifier = ECDsa.Create(new ECParameters
            {
                Curve = ECCurve.NamedCurves.nistP256,
                Q = new ECPoint
                {
                    X = Base64Url.DecodeFromChars(key.GetProperty("x").GetString()),
                    Y = Base64Url.DecodeFromChars(key.GetProperty("y").GetString()),
                },
            });
            Assert.True(verifier.VerifyData(
                Encoding.ASCII.GetBytes($"{signed[0]}.{signed[1]}"), Base64Url.DecodeFromChars(signed[2]), HashAlgorithmName.SHA256));
        }

        var vouched = JsonSerializer.Deserialize<WorkspaceRunEvidence>(Base64Url.DecodeFromChars(signed[1]), CrowNestJson.Options)!;
        Assert.Equal(evidence.EvidenceSha256, vouched.EvidenceSha256);
        var sum = await ReadAsync(await _client.Artifacts.OpenAsync(Assert.Single(evidence.ArtifactIds)));
        Assert.Equal(evidence.Artifacts.Single().Sha256, Convert.ToHexStringLower(SHA256.HashData(sum)));
        Assert.Single(await stack.KeysAsync("evidence/"), key => key.Contains(id, StringComparison.Ordinal));
        await Eventually.HoldsAsync(
            async () => !(await stack.KeysAsync("archives/")).Any(key => key.Contains(id, StringComparison.Ordinal)), "the archive is removed");
    }

    [S3Fact]
    public async Task Run_StoreAwayAtEvidenceTime_WaitsSaysSoAndEndsRightly()
    {
        var id = await _runs.StartAsync(Request("cat name; until [ -e go ]; do sleep 0.05; done"), RunArchive.Of("name", "crow\n"));
        await _runs.FollowAsync(id, e => e.Type == WorkspaceRunEventType.Stdout);
        var sandbox = (await _runs.GetAsync(id)).SandboxId!;
        stack.Way.Cut();
        try
        {
            await _client.Files.WriteAsync(sandbox, new WriteFileRequest { Path = "go", Content = "" });
            var told = await _runs.FollowAsync(id, e => e is { Type: WorkspaceRunEventType.Status, Message: not null });
            Assert.False(WorkspaceRunStatus.IsFinal(told[^1].Status!));
            Assert.False((await _runs.GetAsync(id)).EvidenceAvailable);
        }
        finally
        {
            stack.Way.IsCut = false;
        }

        var events = await _runs.FollowAsync(id);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(n => (long)n), events.Select(e => e.Seq));
        Assert.Equal(WorkspaceRunStatus.Succeeded, events[^1].WorkspaceRun!.Status);
        var evidence = await _runs.EvidenceAsync(id);
        Assert.Equal((RunEvidence.Digest(evidence), events[^1].Seq), (evidence.EvidenceSha256, evidence.TerminalEvent.Seq));
    }

    private static object Request(string command, params string[] artifacts) =>
        new { command, template = "base", artifacts = artifacts.Select(path => new { path }).ToArray() };

    private static async Task<byte[]> ReadAsync(Download download)
    {
        await using (download)
        {
            using var bytes = new MemoryStream();
            await download.Content.CopyToAsync(bytes);
            return bytes.ToArray();
        }
    }

    /// <summary>Fills a file with noise.</summary>
    /// <returns>Its digest, as the sandbox itself says.</returns>
    private async Task<string> MakeAsync(string sandboxId, string path, long bytes)
    {
        var made = await stack.RunAsync(sandboxId, $"head -c {bytes} /dev/urandom > {path}");
        Assert.True(made.ExitCode == 0, made.Stderr);
        return await HashAsync(sandboxId, path);
    }

    private async Task<string> HashAsync(string sandboxId, string path) =>
        (await stack.RunAsync(sandboxId, $"sha256sum {path}")).Stdout!.Split(' ')[0];
}
