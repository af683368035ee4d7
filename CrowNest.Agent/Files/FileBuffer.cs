using System.Collections.Concurrent;

namespace CrowNest.Agent.Files;

/// <summary>Blocks for file content. Pinned, so that neither kernel nor zlib waits for the garbage collector, and used again.</summary>
internal static class FileBuffer
{
    internal const int Size = 128 * 1024;

    /// <summary>What an idle agent keeps: 1 MiB.</summary>
    private const int MaxSpare = 8;

    private static readonly ConcurrentBag<byte[]> s_spare = [];

    internal static byte[] Rent() =>
        s_spare.TryTake(out var buffer) ? buffer : GC.AllocateUninitializedArray<byte>(Size, pinned: true);

    internal static void Return(byte[] buffer)
    {
        if (s_spare.Count < MaxSpare) s_spare.Add(buffer);
    }
}
