using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Api.WorkspaceRuns.Evidence;

/// <summary>Signs evidence as compact JWS (RFC 7515) with ES256.</summary>
internal sealed class EvidenceSignature(EvidenceKeys keys)
{
    public const string ContentType = "application/jose";

    /// <summary>Tells a signature over evidence from any other that a key might make.</summary>
    public const string Type = "crownest-evidence+jws";

    private sealed record Header(string Alg, string Kid, string Typ);

    /// <param name="payload">The canonical JSON, which becomes the payload as it is.</param>
    public async Task<string> SignAsync(byte[] payload, CancellationToken cancellationToken)
    {
        var (id, key) = await keys.OpenCurrentAsync(cancellationToken);
        using (key)
        {
            var header = JsonSerializer.SerializeToUtf8Bytes(new Header("ES256", id, Type), CrowNestJson.Options);
            var signed = $"{Base64Url.EncodeToString(header)}.{Base64Url.EncodeToString(payload)}";
            var signature = key.SignData(
                Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
            return $"{signed}.{Base64Url.EncodeToString(signature)}";
        }
    }
}
