using System.Collections.Concurrent;

namespace CrowNest.Agent.Commands;

/// <summary>Stream of an output frame, and the kind byte of its header (docs/protocols.md 2.2).</summary>
internal enum OutputKind : byte
{
    Stdout = 1,
    Stderr = 2,
    End = 3,
}

/// <summary>
/// 64 KiB of a command's combined output, pinned so that the kernel can read into it. Runs say which bytes came from which stream.
/// </summary>
internal sealed class OutputBlock
{
    internal const int Capacity = 64 * 1024;

    /// <summary>What one run costs the window, so that a command that alternates streams byte by byte stays within it too.</summary>
    internal const int RunCost = 16;

    private const int MaxSpareBlocks = 16;
    private const int MaxSpareRuns = 256;
    private static readonly ConcurrentBag<OutputBlock> s_spare = [];

    private readonly List<Run> _runs = new(1);

    private OutputBlock()
    {
    }

    private readonly record struct Run(int Start, OutputKind Kind);

    internal byte[] Bytes { get; } = GC.AllocateUninitializedArray<byte>(Capacity, pinned: true);

    /// <summary>Position of the first byte in the command's output.</summary>
    internal long Offset { get; private set; }

    internal int Used { get; private set; }

    internal long EndOffset => Offset + Used;

    internal int Free => Capacity - Used;

    internal int RunCount => _runs.Count;

    internal static OutputBlock Rent(long offset)
    {
        if (!s_spare.TryTake(out var block)) block = new OutputBlock();
        block.Offset = offset;
        return block;
    }

    internal void Return()
    {
        Used = 0;
        _runs.Clear();
        if (s_spare.Count < MaxSpareBlocks && _runs.Capacity <= MaxSpareRuns) s_spare.Add(this);
    }

    /// <summary>Accounts for <paramref name="length"/> bytes read behind <see cref="Used"/>; true when that began a new run.</summary>
    internal bool Commit(OutputKind kind, int length)
    {
        bool begins = _runs.Count == 0 || _runs[^1].Kind != kind;
        if (begins) _runs.Add(new Run(Used, kind));
        Used += length;
        return begins;
    }

    /// <summary>The bytes of one stream from a position on, up to the next change of stream.</summary>
    internal ReadOnlySpan<byte> RunAt(long position, out OutputKind kind)
    {
        int start = (int)(position - Offset), low = 0, high = _runs.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (_runs[middle].Start <= start) low = middle;
            else high = middle - 1;
        }
        kind = _runs[low].Kind;
        int end = low + 1 < _runs.Count ? _runs[low + 1].Start : Used;
        return Bytes.AsSpan(start, end - start);
    }
}
