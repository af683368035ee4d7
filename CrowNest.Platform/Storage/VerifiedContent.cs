using System.Security.Cryptography;

namespace CrowNest.Platform.Storage;

/// <summary>Hands out the last bytes of <paramref name="inner"/> only when all of them have the digest that they should have.</summary>
internal sealed class VerifiedContent(Stream inner, long length, string sha256) : ReadOnlyStream(inner, length)
{
    private readonly long _length = length;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private string? _found;

    public override int Read(Span<byte> buffer) => Check(buffer, Inner.Read(buffer));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await Inner.ReadAsync(buffer, cancellationToken);
        return Check(buffer.Span, read);
    }

    public override ValueTask DisposeAsync()
    {
        _hash.Dispose();
        return base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }

    private int Check(ReadOnlySpan<byte> buffer, int read)
    {
        _hash.AppendData(buffer[..read]);
        Consumed += read;
        if (Consumed == _length)
        {
            // Kept: a reader that asks again after the failure gets the same answer.
            _found ??= Convert.ToHexStringLower(_hash.GetHashAndReset());
            if (!string.Equals(_found, sha256, StringComparison.OrdinalIgnoreCase))
            {
                throw new ObjectStoreException($"The object's SHA-256 is {_found} instead of {sha256}.") { IsDamaged = true };
            }
        }

        return read;
    }
}
