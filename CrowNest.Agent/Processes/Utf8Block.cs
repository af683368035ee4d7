using System.Runtime.InteropServices;
using System.Text;

namespace CrowNest.Agent.Processes;

/// <summary>A null-terminated array of C strings in one piece of native memory, as execve() wants it.</summary>
internal sealed unsafe class Utf8Block : IDisposable
{
    private readonly void* _memory;

    internal Utf8Block(IReadOnlyList<string> strings)
    {
        nuint pointers = (nuint)(strings.Count + 1) * (nuint)sizeof(byte*), bytes = 0;
        foreach (var s in strings) bytes += (nuint)Encoding.UTF8.GetByteCount(s) + 1;
        _memory = NativeMemory.Alloc(pointers + bytes);
        Pointers = (byte**)_memory;
        var at = (byte*)_memory + pointers;
        for (int i = 0; i < strings.Count; i++)
        {
            Pointers[i] = at;
            int length = Encoding.UTF8.GetByteCount(strings[i]);
            Encoding.UTF8.GetBytes(strings[i], new Span<byte>(at, length));
            at[length] = 0;
            at += length + 1;
        }
        Pointers[strings.Count] = null;
    }

    internal byte** Pointers { get; }

    public void Dispose() => NativeMemory.Free(_memory);
}
