using System.Buffers.Text;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns.Evidence;

namespace CrowNest.Api.WorkspaceRuns.Evidence;

/// <summary>An ES256 key of the deployment, derived from its name and the deployment's secret.</summary>
internal static class EvidenceKey
{
    /// <summary>64 bits more than the order has, so that reducing them favours no key (FIPS 186-5, A.2.1).</summary>
    private const int SeedBytes = 40;

    /// <summary>Order of the group of P-256.</summary>
    private static readonly BigInteger Order = BigInteger.Parse(
        "0FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", System.Globalization.NumberStyles.HexNumber,
        System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The private key; dispose it.</summary>
    public static ECDsa Derive(string deploymentSecret, string keyId)
    {
        var seed = HKDF.DeriveKey(
            HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(deploymentSecret), SeedBytes,
            info: Encoding.UTF8.GetBytes($"crownest evidence {keyId}"));
        var number = new BigInteger(seed, isUnsigned: true, isBigEndian: true) % (Order - 1) + 1;
        var bytes = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        var d = new byte[32];
        bytes.CopyTo(d, d.Length - bytes.Length);
        try
        {
            return ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = d });
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
            CryptographicOperations.ZeroMemory(d);
        }
    }

    /// <summary>The public half as others read it.</summary>
    public static JsonWebKey ToJsonWebKey(EvidenceKeyRow key)
    {
        using var ecdsa = ECDsa.Create();
        ecdsa.ImportSubjectPublicKeyInfo(key.PublicKey, out _);
        var q = ecdsa.ExportParameters(includePrivateParameters: false).Q;
        return new JsonWebKey(
            "EC", "P-256", Base64Url.EncodeToString(q.X), Base64Url.EncodeToString(q.Y), key.Id, "sig", "ES256");
    }
}
