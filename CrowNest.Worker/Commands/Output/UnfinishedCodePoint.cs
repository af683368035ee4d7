namespace CrowNest.Worker.Commands.Output;

/// <summary>Up to three bytes of an unfinished code point.</summary>
internal readonly record struct UnfinishedCodePoint(uint Bytes, int Length)
{
    /// <summary>How many of them a record in the spool repeats.</summary>
    public int CarriedLength { get; init; }

    public bool IsCarried => CarriedLength == Length;

    /// <summary>The part that the agent no longer has.</summary>
    public UnfinishedCodePoint Carried => this with { Length = CarriedLength };

    public static UnfinishedCodePoint Of(ReadOnlySpan<byte> bytes, int carried)
    {
        var packed = 0u;
        for (var i = 0; i < bytes.Length; i++)
        {
            packed |= (uint)bytes[i] << (8 * i);
        }

        return new UnfinishedCodePoint(packed, bytes.Length) { CarriedLength = carried };
    }

    public int CopyTo(Span<byte> destination)
    {
        for (var i = 0; i < Length; i++)
        {
            destination[i] = (byte)(Bytes >> (8 * i));
        }

        return Length;
    }
}
