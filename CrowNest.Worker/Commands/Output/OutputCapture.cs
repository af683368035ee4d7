using CrowNest.Contracts;
using CrowNest.Platform.Commands.Logs;

namespace CrowNest.Worker.Commands.Output;

/// <summary>
/// The first 256 KiB of each stream, for the command's row (docs/reference/api.md 5.1). The cut never splits a code point.
/// </summary>
internal sealed class OutputCapture
{
    private readonly Prefix _stdout = new();
    private readonly Prefix _stderr = new();

    public byte[] Stdout => _stdout.ToArray();
    public byte[] Stderr => _stderr.ToArray();
    public bool StdoutTruncated => _stdout.IsTruncated;
    public bool StderrTruncated => _stderr.IsTruncated;

    /// <summary>Changes whenever the capture does.</summary>
    public int Version { get; private set; }

    /// <summary>Takes the payload of a record: whole code points.</summary>
    public void Add(byte stream, ReadOnlySpan<byte> payload)
    {
        if ((stream == LogRecord.Stderr ? _stderr : _stdout).Add(payload))
        {
            Version++;
        }
    }

    /// <summary>Sets one stream to what was kept of it.</summary>
    public void Restore(byte stream, ReadOnlySpan<byte> prefix, bool truncated)
    {
        (stream == LogRecord.Stderr ? _stderr : _stdout).Restore(prefix, truncated);
        Version++;
    }

    private sealed class Prefix
    {
        private byte[] _bytes = [];
        private int _length;

        public bool IsTruncated { get; private set; }

        public byte[] ToArray() => _bytes.AsSpan(0, _length).ToArray();

        /// <returns>Whether anything changed.</returns>
        public bool Add(ReadOnlySpan<byte> payload)
        {
            if (IsTruncated || payload.Length == 0)
            {
                return false;
            }

            if (payload.Length > Limits.InlineOutputBytes - _length)
            {
                payload = WholeCodePoints(payload, Limits.InlineOutputBytes - _length);
                IsTruncated = true;
            }

            if (_length + payload.Length > _bytes.Length)
            {
                Array.Resize(ref _bytes, Math.Max(_length + payload.Length, Math.Min(2 * _bytes.Length, Limits.InlineOutputBytes)));
            }

            payload.CopyTo(_bytes.AsSpan(_length));
            _length += payload.Length;
            return true;
        }

        public void Restore(ReadOnlySpan<byte> prefix, bool truncated)
        {
            _bytes = prefix.ToArray();
            _length = prefix.Length;
            IsTruncated = truncated;
        }

        private static ReadOnlySpan<byte> WholeCodePoints(ReadOnlySpan<byte> valid, int most)
        {
            var end = most;
            while (end > 0 && (valid[end] & 0xC0) == 0x80)
            {
                end--;
            }

            return valid[..end];
        }
    }
}
