using System.Security.Cryptography;
using CrowNest.Api.Http;

namespace CrowNest.Api.WorkspaceRuns.Archives;

/// <summary>
/// The body of an upload on its way into object storage, which keeps nothing when a read throws: so a body that is too long, too short,
/// or not what its digest says leaves nothing behind. One that is too long is refused with its first byte too many.
/// </summary>
/// <param name="sha256">Digest that the bytes must have, or null.</param>
internal sealed class ArchiveContent(HttpContext context, Transfers transfers, long expected, string? sha256) : Stream
{
    /// <summary>Below this size an upload is over too soon to tell of its progress.</summary>
    private const long LeastTold = 4 * 1024 * 1024;

    private readonly Transfers.Stall _stall = Watch(context, transfers);
    private readonly IncrementalHash? _hash = sha256 is null ? null : IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long _received;
    private long _tell = expected < LeastTold ? long.MaxValue : expected / 4;

    /// <summary>Told at each quarter but the last; null: nobody asks.</summary>
    public Func<long, Task>? Progress { get; init; }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _received;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await _stall.WithinAsync(context.Request.Body.ReadAsync(buffer, _stall.Token));
        _received += read;
        if (_received > expected || (read == 0 && _received != expected && !buffer.IsEmpty))
        {
            throw ArchiveRules.SizeMismatch(expected);
        }

        _hash?.AppendData(buffer.Span[..read]);
        if (read == 0 && _hash is not null && Convert.ToHexStringLower(_hash.GetCurrentHash()) is var actual && actual != sha256)
        {
            throw ArchiveRules.ChecksumMismatch(sha256!, actual);
        }

        if (_received >= _tell && _received < expected && Progress is { } told)
        {
            // What came at once is told at once: the quarter after the one that is reached.
            _tell = (_received / (expected / 4) + 1) * (expected / 4);
            await told(_received);
        }

        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) =>
        throw new NotSupportedException("A request's body is read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash?.Dispose();
            _stall.Dispose();
        }

        base.Dispose(disposing);
    }

    private static Transfers.Stall Watch(HttpContext context, Transfers transfers)
    {
        Transfers.LiftLimits(context);
        return transfers.Watch(context);
    }
}
