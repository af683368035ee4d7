using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace CrowNest.ServiceDefaults.Transfers;

/// <summary>
/// Larger blocks for Kestrel than its own of 4 KiB, which are also the most that it reads from a socket at once: gigabytes then cost a
/// sixteenth of the system calls. A connection that waits holds none.
/// </summary>
internal sealed class TransferMemory : MemoryPool<byte>, IMemoryPoolFactory<byte>
{
    private const int BlockBytes = 64 * 1024;

    /// <summary>Blocks that are kept for later: 16 MiB.</summary>
    private const int MaxSpare = 256;

    private readonly ConcurrentQueue<Block> _spare = new();

    public override int MaxBufferSize => BlockBytes;

    /// <summary>One pool for all: it knows no owner.</summary>
    public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => this;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, BlockBytes);
        return _spare.TryDequeue(out var block) ? block.Lend() : new Block(this).Lend();
    }

    /// <summary>Servers end, and dispose their pool; another one may still use it.</summary>
    protected override void Dispose(bool disposing)
    {
    }

    private void Return(Block block)
    {
        if (_spare.Count < MaxSpare)
        {
            _spare.Enqueue(block);
        }
    }

    private sealed class Block(TransferMemory pool) : IMemoryOwner<byte>
    {
        private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(BlockBytes, pinned: true);
        private int _isLent;

        public Memory<byte> Memory => _bytes;

        public Block Lend()
        {
            _isLent = 1;
            return this;
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isLent, 0) == 1)
            {
                pool.Return(this);
            }
        }
    }
}
