using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace CrowNest.Api.Tests.WorkspaceRuns;

/// <summary>Evidence, its digest and its signature (docs/reference/api.md 10.9), checked by other means than those that made it.</summary>
public sealed class EvidenceTests(ResourceFixture fixture) : IClassFixture<ResourceFixture>
{
    [Fact]
    public async Task Evidence_OfAFinishedRun_SaysWhatHappened()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.UploadedAsync(new
        {
            command = "pytest -q \u00e4\ud83d\ude00 \"x\"\t",
            metadata = new { pr = "12" },
            sourceMetadata = new { commit = "abc" },
            timeoutMs = 5000,
        });
        using var started = await tenant.PostAsync(id, "start");
        await TestRunWorker.Of(fixture).CarryAsync(id, "ok");
        var run = await tenant.ReadRunAsync(id);
        var evidence = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence");
        Assert.Equal(id, evidence.Text("workspaceRunId"));
        foreach (var same in new[]
        {
            "orgId", "projectId", "status", "command", "createdAt", "metadata", "sourceMetadata", "artifactIds", "artifactErrors",
            "envKeys",
            "cleanupStatus", "orchestrationSucceeded", "archive", "exitCode", "durationMs", "startedAt", "finishedAt", "timeoutMs",
            "templateId",
            "templateSlug", "templateVersion", "templateVersionId",
        })
        {
            Assert.Equal(run.GetProperty(same).GetRawText(), evidence.GetProperty(same).GetRawText());
        }

        Assert.False(evidence.Has("failureReason") || evidence.Has("failureClass"));
        Assert.Equal("[]", evidence.GetProperty("artifacts").GetRawText());
        Assert.Equal("succeeded", evidence.GetProperty("terminalEvent").Text("status"));
        Assert.Equal(evidence.Text("evidenceSha256"), await RecomputeAsync(evidence));
        // It stays, byte by byte.
        Assert.Equal(evidence.GetRawText(),
            (await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence?format=json", "evidence")).GetRawText());
    }

    [Fact]
    public async Task Evidence_BeforeItIsStored_IsAConflict()
    {
        var tenant = await fixture.TenantAsync();
        var id = await tenant.RunAsync();
        foreach (var format in new[] { "", "?format=jws" })
        {
            var error = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence{format}").ErrorAsync(409, "conflict");
            Assert.Equal("awaiting_archive", error.GetProperty("details").Text("status"));
        }

        var wrong = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence?format=xml").ErrorAsync(400, "invalid_request");
        Assert.Equal("format", wrong.GetProperty("details").Text("field"));
    }

    [Theory]
    [InlineData("succeeded", "failed")]
    [InlineData("\"exitCode\":0", "\"exitCode\":1")]
    [InlineData("\"exitCode\":0", "\"exitCode\":0.5")]
    [InlineData("{", "[")]
    [InlineData("\"envKeys\":[],", "")]
    public async Task Evidence_ChangedInStorage_IsNotServed(string old, string changed)
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        var path = tenant.Objects(id).Single(o => o.Contains("evidence", StringComparison.Ordinal));
        var stored = await File.ReadAllTextAsync(path);
        Assert.Contains(old, stored, StringComparison.Ordinal);
        await File.WriteAllTextAsync(path, stored.Replace(old, changed, StringComparison.Ordinal));
        await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence").ErrorAsync(502, "download_export_failed");
        await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence?format=jws").ErrorAsync(502, "download_export_failed");
        await File.WriteAllTextAsync(path, stored);
        using var restored = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence");
        Assert.Equal(200, (int)restored.StatusCode);
        File.Delete(path);
        await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence").ErrorAsync(502, "download_export_failed");
    }

    [Fact]
    public async Task Evidence_WhoseCleanupFollowed_ShowsItsResultUnderTheSameDigest()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        var stored = await File.ReadAllTextAsync(tenant.Objects(id).Single(o => o.Contains("evidence", StringComparison.Ordinal)));
        Assert.Contains("\"cleanupStatus\":\"pending\"", stored, StringComparison.Ordinal);
        var evidence = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence");
        Assert.Equal("succeeded", evidence.Text("cleanupStatus"));
        Assert.Equal(evidence.Text("evidenceSha256"), await RecomputeAsync(evidence));
    }

    [Fact]
    public async Task Jws_VerifiedWithTheServedKeys_CarriesTheEvidence()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        using var response = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence?format=jws");
        Assert.Equal(("application/jose", 200), (response.Content.Headers.ContentType!.MediaType, (int)response.StatusCode));
        var jws = await response.Content.ReadAsStringAsync();
        using var anonymous = fixture.Api.Client(bearer: null);
        using var served = await anonymous.GetAsync(new Uri("/.well-known/jwks.json", UriKind.Relative));
        Assert.True(served.Headers.CacheControl is { Public: true, MaxAge.TotalSeconds: > 0 });
        var keys = await served.JsonAsync();
        Assert.DoesNotContain(keys.GetProperty("keys").EnumerateArray(), k => k.Has("d"));

        var payload = Verify(jws, keys)!;
        using var evidence = JsonDocument.Parse(payload);
        var plain = await tenant.GetAsync($"/v1/workspace-runs/{id}/evidence", "evidence");
        Assert.Equal(
            plain.EnumerateObject().Select(m => $"{m}").Order(), evidence.RootElement.EnumerateObject().Select(m => $"{m}").Order());
        using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(jws.Split('.')[0]));
        Assert.Equal(("ES256", "crownest-evidence+jws"), (header.RootElement.Text("alg"), header.RootElement.Text("typ")));

        // One bit of anything, and nobody believes it.
        var parts = jws.Split('.');
        for (var i = 0; i < 3; i++)
        {
            var bytes = Base64Url.DecodeFromChars(parts[i]);
            bytes[^2] ^= 1;
            var forged = string.Join('.', parts.Select((p, n) => n == i ? Base64Url.EncodeToString(bytes) : p));
            Assert.Null(Verify(forged, keys));
        }
    }

    [Fact]
    public async Task Keys_Rotated_OldSignaturesStayGoodUntilRevoked()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        var before = await SignedAsync(tenant, id);
        await RotateAsync(new { });
        var after = await SignedAsync(tenant, id);
        var keys = await KeysAsync();
        Assert.NotEqual(KidOf(before), KidOf(after));
        Assert.NotNull(Verify(before, keys));
        Assert.NotNull(Verify(after, keys));

        await RotateAsync(new { revoke = true });
        keys = await KeysAsync();
        Assert.Null(Verify(before, keys));
        Assert.Null(Verify(after, keys));
        Assert.NotNull(Verify(await SignedAsync(tenant, id), keys));

        using var stranger = fixture.Api.Client();
        await stranger.PostAsJsonAsync("/internal/evidence-keys/rotate", new { }).ErrorAsync(401, "invalid_api_key");
    }

    [Fact]
    public async Task Keys_UnderAnotherSecret_AreNewAndKeepTheOldListed()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        var before = await SignedAsync(tenant, id);
        await using var changed = fixture.StartApi(("CrowNest:DeploymentSecret", "another-deployment-secret-0123456789abcdef"));
        using var client = changed.Client(tenant.Secret);
        var after = await client.GetStringAsync(new Uri($"/v1/workspace-runs/{id}/evidence?format=jws", UriKind.Relative));
        var keys = await KeysAsync();
        Assert.NotEqual(KidOf(before), KidOf(after));
        Assert.NotNull(Verify(before, keys));
        Assert.NotNull(Verify(after, keys));
    }

    [Fact]
    public async Task Keys_OfManyInstancesAtOnce_AreOne()
    {
        var tenant = await fixture.TenantAsync();
        var id = await FinishedAsync(tenant);
        await fixture.Database.ExecuteAsync("DELETE FROM evidence_keys");
        await using var second = fixture.StartApi();
        using var other = second.Client(tenant.Secret);
        var signed = await Task.WhenAll(Enumerable.Range(0, 8).Select(n =>
            (n % 2 == 0 ? tenant.Http : other).GetStringAsync(new Uri($"/v1/workspace-runs/{id}/evidence?format=jws", UriKind.Relative))));
        Assert.Single(signed.Select(KidOf).Distinct());
        var row = Assert.Single(await fixture.Api.Services.GetRequiredService<EvidenceKeyStore>().ListAsync(default));
        // Nothing in the row is a private key.
        using var key = ECDsa.Create();
        key.ImportSubjectPublicKeyInfo(row.PublicKey, out var read);
        Assert.Equal(row.PublicKey.Length, read);
        Assert.Throws<CryptographicException>(() => key.ExportParameters(includePrivateParameters: true));
    }

    /// <summary>The payload if a listed key has signed it; by RFC 7515 and 7518 alone.</summary>
    private static byte[]? Verify(string jws, JsonElement keys)
    {
        try
        {
            var parts = jws.Split('.');
            using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[0]));
            var jwk = keys.GetProperty("keys").EnumerateArray().Single(k => k.Text("kid") == header.RootElement.Text("kid"));
            using var key = ECDsa.Create(new ECParameters
            {
                Curve = ECCurve.NamedCurves.nistP256,
                Q = new ECPoint { X = Base64Url.DecodeFromChars(jwk.Text("x")), Y = Base64Url.DecodeFromChars(jwk.Text("y")) },
            });
            var signed = Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}");
            return key.VerifyData(
                signed, Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
                ? Base64Url.DecodeFromChars(parts[1])
                : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>The digest as someone else would compute it: Python's JSON, which for integers and ASCII names is RFC 8785.</summary>
    private static async Task<string> RecomputeAsync(JsonElement evidence)
    {
        const string Script = """
            import hashlib, json, sys
            e = json.load(sys.stdin)
            e.pop("evidenceSha256"); e.pop("cleanupStatus")
            canonical = json.dumps(e, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            print(hashlib.sha256(canonical.encode("utf-8")).hexdigest())
            """;
        using var python = Process.Start(new ProcessStartInfo("python3", ["-c", Script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            StandardInputEncoding = new UTF8Encoding(false),
        })!;
        await python.StandardInput.WriteAsync(evidence.GetRawText());
        python.StandardInput.Close();
        var digest = await python.StandardOutput.ReadToEndAsync();
        await python.WaitForExitAsync();
        return digest.Trim();
    }

    private static string? KidOf(string jws)
    {
        using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(jws.Split('.')[0]));
        return header.RootElement.Text("kid");
    }

    private static Task<string> SignedAsync(Tenant tenant, string id) =>
        tenant.Http.GetStringAsync(new Uri($"/v1/workspace-runs/{id}/evidence?format=jws", UriKind.Relative));

    private async Task<JsonElement> KeysAsync()
    {
        using var anonymous = fixture.Api.Client(bearer: null);
        return await anonymous.GetAsync(new Uri("/.well-known/jwks.json", UriKind.Relative)).JsonAsync();
    }

    private async Task RotateAsync(object body)
    {
        using var client = fixture.Api.Client(bearer: null);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", ApiInstance.DeploymentSecret);
        using var response = await client.PostAsJsonAsync("/internal/evidence-keys/rotate", body);
        Assert.Equal(200, (int)response.StatusCode);
    }

    private async Task<string> FinishedAsync(Tenant tenant)
    {
        var id = await tenant.UploadedAsync();
        using var started = await tenant.PostAsync(id, "start");
        await TestRunWorker.Of(fixture).CarryAsync(id, "ok");
        return id;
    }
}
