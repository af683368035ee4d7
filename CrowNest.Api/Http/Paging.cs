using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Http;

/// <summary>A window of a cursor list (docs/reference/api.md 2.7).</summary>
/// <param name="Limit">1…500. Stores are asked for one more (<see cref="Fetch"/>), which tells whether there is a next page.</param>
internal sealed record PageRequest(int Limit, ListPosition? After)
{
    /// <summary>Rows to ask the store for.</summary>
    public int Fetch => Limit + 1;
}

/// <summary>A window of a sequence (docs/reference/api.md 2.7).</summary>
/// <param name="AfterSeq">Exclusive; null when the request names none, which starts at the oldest retained item.</param>
internal sealed record SeqRequest(long? AfterSeq, int Limit);

/// <summary>Reads <c>limit</c>, <c>cursor</c> and <c>afterSeq</c>, and builds pages with opaque keyset cursors.</summary>
internal static class Paging
{
    private const byte CursorVersion = 1;
    private const int CursorHeader = 1 + sizeof(long);
    private const int MaxCursorLength = 512;

    /// <exception cref="ApiException">400: <c>limit</c> or <c>cursor</c> is invalid.</exception>
    public static PageRequest Read(HttpRequest request)
    {
        var limit = ReadLimit(request, Limits.DefaultPageSize);
        var cursor = Single(request, "cursor");
        return new PageRequest(limit, cursor is null ? null : Decode(cursor));
    }

    /// <exception cref="ApiException">400: <c>limit</c> or <c>afterSeq</c> is invalid.</exception>
    public static SeqRequest ReadSeq(HttpRequest request) =>
        new(ReadAfterSeq(request), ReadLimit(request, Limits.DefaultSeqPageSize));

    /// <summary><c>afterSeq</c> of the query alone, for streams.</summary>
    public static long? ReadAfterSeq(HttpRequest request) => Single(request, "afterSeq") switch
    {
        null => null,
        var text when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seq) => seq,
        _ => throw ApiException.InvalidField("afterSeq", "'afterSeq' must be an integer of at least 0."),
    };

    /// <summary>A page of <paramref name="rows"/>, of which the store returned up to <see cref="PageRequest.Fetch"/>.</summary>
    public static Page<TItem> Build<TRow, TItem>(
        PageRequest request, IReadOnlyList<TRow> rows, Func<TRow, ListPosition> position, Func<TRow, TItem> show)
    {
        var hasMore = rows.Count > request.Limit;
        var shown = hasMore ? rows.Take(request.Limit).ToList() : rows;
        return new Page<TItem>([.. shown.Select(show)], hasMore, hasMore ? Encode(position(shown[^1])) : null);
    }

    /// <summary>A parameter that may be given once.</summary>
    /// <exception cref="ApiException">400: it is given more than once.</exception>
    public static string? Single(HttpRequest request, string name)
    {
        var values = request.Query[name];
        return values.Count <= 1 ? (string?)values : throw Repeated(name);
    }

    public static ApiException Repeated(string name) => ApiException.InvalidField(name, $"'{name}' may be given once.");

    internal static string Encode(ListPosition position)
    {
        var id = Encoding.UTF8.GetBytes(position.Id);
        var bytes = new byte[CursorHeader + id.Length];
        bytes[0] = CursorVersion;
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(1), position.CreatedAt.UtcTicks);
        id.CopyTo(bytes, CursorHeader);
        return Base64Url.EncodeToString(bytes);
    }

    internal static ListPosition Decode(string cursor)
    {
        if (cursor.Length is > 0 and <= MaxCursorLength && Base64Url.IsValid(cursor))
        {
            var bytes = Base64Url.DecodeFromChars(cursor);
            if (bytes.Length > CursorHeader && bytes[0] == CursorVersion
                && BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(1)) is >= 0 and var ticks && ticks <= DateTimeOffset.MaxValue.UtcTicks
                && !bytes.AsSpan(CursorHeader).ContainsAnyExceptInRange((byte)0x21, (byte)0x7e))
            {
                var id = Encoding.UTF8.GetString(bytes, CursorHeader, bytes.Length - CursorHeader);
                return new ListPosition(new DateTimeOffset(ticks, TimeSpan.Zero), id);
            }
        }

        throw ApiException.InvalidField("cursor", "'cursor' is not one that this API returned.");
    }

    private static int ReadLimit(HttpRequest request, int whenAbsent) => Single(request, "limit") switch
    {
        null => whenAbsent,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit)
            && limit is >= 1 and <= Limits.MaxPageSize => limit,
        _ => throw ApiException.InvalidField("limit", $"'limit' must be an integer from 1 to {Limits.MaxPageSize}."),
    };
}
