using System.Buffers.Binary;
using System.Net;

namespace CrowNest.Worker.Containers.Network;

/// <summary>A part of the configured range, with the gateway and one address per uid.</summary>
internal readonly record struct AddressBlock(uint First, int PrefixLength)
{
    /// <summary>Network, gateway and broadcast.</summary>
    private const int Reserved = 3;

    public uint Size => 1u << (32 - PrefixLength);
    public string Range => $"{Text(First)}/{PrefixLength}";
    public string Gateway => Text(First + 1);

    public string Address(int index) => Text(First + 2 + (uint)index);

    public bool Overlaps(IPNetwork other)
    {
        var otherFirst = Number(other.BaseAddress);
        var otherLast = otherFirst + (uint)((1ul << (32 - other.PrefixLength)) - 1);
        return First <= otherLast && otherFirst <= First + Size - 1;
    }

    /// <summary>
    /// Every block of <paramref name="range"/> that holds <paramref name="sandboxes"/> addresses, beginning at a place that
    /// <paramref name="seed"/> decides: two deployments on one node rarely want the same one.
    /// </summary>
    public static IEnumerable<AddressBlock> In(IPNetwork range, int sandboxes, uint seed)
    {
        var prefix = 32;
        while ((1ul << (32 - prefix)) < (ulong)(sandboxes + Reserved))
        {
            prefix--;
        }

        var count = prefix < range.PrefixLength ? 0 : 1u << (prefix - range.PrefixLength);
        for (var i = 0u; i < count; i++)
        {
            yield return new(Number(range.BaseAddress) + (((seed % count) + i) % count * (1u << (32 - prefix))), prefix);
        }
    }

    private static uint Number(IPAddress address) => BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    private static string Text(uint number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, number);
        return new IPAddress(bytes).ToString();
    }
}
