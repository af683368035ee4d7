using System.Security.Cryptography;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>Bytes that are made as they are read; then the end, or what <paramref name="then"/> does.</summary>
/// <param name="onRead">Told the position before every read.</param>
internal sealed class MadeStream(long length, Func<CancellationToken, Task>? then = null, Action<long>? onRead = null) : Stream
{
    private static readonly byte[] Noise = TestStore.Bytes(1 << 20, seed: 77);
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _position;

    /// <summary>Of what was read; once.</summary>
    public string Sha256() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        onRead?.Invoke(_position);
        var start = (int)(_position % Noise.Length);
        var count = (int)Math.Min(Math.Min(buffer.Length, Noise.Length - start), length - _position);
        if (count == 0 && then is not null)
        {
            await then(cancellationToken);
        }

        Noise.AsMemory(start, count).CopyTo(buffer);
        _hash.AppendData(Noise, start, count);
        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Reads are asynchronous.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _hash.Dispose();
        base.Dispose(disposing);
    }
}
