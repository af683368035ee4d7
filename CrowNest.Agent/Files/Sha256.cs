using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CrowNest.Agent.Files;

/// <summary>
/// SHA-256 (FIPS 180-4). The framework's own loads OpenSSL from the image of the sandbox: it is not in every image, and what is there
/// is not ours. In C#, or where processor and build have it by the processor's instructions (native/crownest-sha256.c), six times as
/// fast.
/// </summary>
internal sealed unsafe partial class Sha256
{
    private const int BlockSize = 64;

    private static readonly uint[] s_k =
    [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ];

    private static readonly bool s_native = HasNative();

    private readonly uint[] _state =
        [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

    private readonly byte[] _partial = new byte[BlockSize];
    private int _held;
    private ulong _length;

    internal void Append(ReadOnlySpan<byte> bytes)
    {
        _length += (ulong)bytes.Length;
        if (_held > 0)
        {
            int taken = Math.Min(BlockSize - _held, bytes.Length);
            bytes[..taken].CopyTo(_partial.AsSpan(_held));
            _held += taken;
            bytes = bytes[taken..];
            if (_held < BlockSize) return;
            Compress(_partial);
            _held = 0;
        }
        int whole = bytes.Length / BlockSize * BlockSize;
        Compress(bytes[..whole]);
        bytes[whole..].CopyTo(_partial);
        _held = bytes.Length - whole;
    }

    /// <summary>Ends the computation: 64 lower-case hexadecimal digits.</summary>
    internal string Finish()
    {
        ulong bits = _length * 8;
        Span<byte> end = stackalloc byte[BlockSize * 2];
        end.Clear();
        end[0] = 0x80;
        int padding = (_held < BlockSize - 8 ? BlockSize : 2 * BlockSize) - _held;
        BinaryPrimitives.WriteUInt64BigEndian(end[(padding - 8)..], bits);
        Append(end[..padding]);
        Span<byte> digest = stackalloc byte[32];
        for (int i = 0; i < 8; i++) BinaryPrimitives.WriteUInt32BigEndian(digest[(4 * i)..], _state[i]);
        return Convert.ToHexStringLower(digest);
    }

    private void Compress(ReadOnlySpan<byte> blocks)
    {
        if (!s_native)
        {
            CompressManaged(blocks);
            return;
        }
        fixed (uint* state = _state, k = s_k)
        fixed (byte* p = blocks)
            CompressNative(state, k, p, (nuint)(blocks.Length / BlockSize));
    }

    [SkipLocalsInit]
    private void CompressManaged(ReadOnlySpan<byte> blocks)
    {
        Span<uint> w = stackalloc uint[64];
        ref uint schedule = ref w[0];
        ref uint constants = ref s_k[0];
        for (; blocks.Length >= BlockSize; blocks = blocks[BlockSize..])
        {
            for (int i = 0; i < 16; i++) w[i] = BinaryPrimitives.ReadUInt32BigEndian(blocks[(4 * i)..]);
            for (int i = 16; i < 64; i++)
            {
                uint x = w[i - 15], y = w[i - 2];
                uint s0 = BitOperations.RotateRight(x, 7) ^ BitOperations.RotateRight(x, 18) ^ (x >> 3);
                uint s1 = BitOperations.RotateRight(y, 17) ^ BitOperations.RotateRight(y, 19) ^ (y >> 10);
                w[i] = w[i - 16] + s0 + w[i - 7] + s1;
            }

            uint a = _state[0], b = _state[1], c = _state[2], d = _state[3];
            uint e = _state[4], f = _state[5], g = _state[6], h = _state[7];
            for (int i = 0; i < 64; i += 8)
            {
                Round(a, b, c, ref d, e, f, g, ref h, Unsafe.Add(ref constants, i) + Unsafe.Add(ref schedule, i));
                Round(h, a, b, ref c, d, e, f, ref g, Unsafe.Add(ref constants, i + 1) + Unsafe.Add(ref schedule, i + 1));
                Round(g, h, a, ref b, c, d, e, ref f, Unsafe.Add(ref constants, i + 2) + Unsafe.Add(ref schedule, i + 2));
                Round(f, g, h, ref a, b, c, d, ref e, Unsafe.Add(ref constants, i + 3) + Unsafe.Add(ref schedule, i + 3));
                Round(e, f, g, ref h, a, b, c, ref d, Unsafe.Add(ref constants, i + 4) + Unsafe.Add(ref schedule, i + 4));
                Round(d, e, f, ref g, h, a, b, ref c, Unsafe.Add(ref constants, i + 5) + Unsafe.Add(ref schedule, i + 5));
                Round(c, d, e, ref f, g, h, a, ref b, Unsafe.Add(ref constants, i + 6) + Unsafe.Add(ref schedule, i + 6));
                Round(b, c, d, ref e, f, g, h, ref a, Unsafe.Add(ref constants, i + 7) + Unsafe.Add(ref schedule, i + 7));
            }
            _state[0] += a;
            _state[1] += b;
            _state[2] += c;
            _state[3] += d;
            _state[4] += e;
            _state[5] += f;
            _state[6] += g;
            _state[7] += h;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Round(uint a, uint b, uint c, ref uint d, uint e, uint f, uint g, ref uint h, uint input)
    {
        uint s1 = BitOperations.RotateRight(e, 6) ^ BitOperations.RotateRight(e, 11) ^ BitOperations.RotateRight(e, 25);
        uint s0 = BitOperations.RotateRight(a, 2) ^ BitOperations.RotateRight(a, 13) ^ BitOperations.RotateRight(a, 22);
        uint t = h + s1 + (g ^ (e & (f ^ g))) + input;
        d += t;
        h = t + s0 + ((a & b) | (c & (a | b)));
    }

    private static bool HasNative()
    {
        try
        {
            return IsNativeSupported() != 0;
        }
        catch (DllNotFoundException)
        {
            // Not the published agent: nothing is linked in.
            return false;
        }
    }

    [LibraryImport("crownest-sha256", EntryPoint = "crownest_sha256_supported")]
    private static partial int IsNativeSupported();

    [LibraryImport("crownest-sha256", EntryPoint = "crownest_sha256_blocks")]
    private static partial void CompressNative(uint* state, uint* k, byte* blocks, nuint count);
}
