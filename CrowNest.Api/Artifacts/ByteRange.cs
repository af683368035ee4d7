using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.Net.Http.Headers;

namespace CrowNest.Api.Artifacts;

/// <summary>A part of a whole, both ends included (RFC 9110, 14).</summary>
internal readonly record struct ByteRange(long From, long To)
{
    public long Length => To - From + 1;

    /// <summary>
    /// The part that a request wants; null: all of it, also when it asks for several parts, or for something that is no range, or under
    /// the condition of another content.
    /// </summary>
    /// <exception cref="ApiException">416: no byte of the whole is in the range.</exception>
    public static ByteRange? Of(HttpRequest request, long total, EntityTagHeaderValue tag)
    {
        var headers = request.GetTypedHeaders();
        if (headers.Range is not { Ranges: { Count: 1 } ranges } wanted || !wanted.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase)
            // By the header itself: a condition that is none is not met.
            || (request.Headers.IfRange.Count > 0 && headers.IfRange?.EntityTag?.Compare(tag, useStrongComparison: true) != true))
        {
            return null;
        }

        var (from, to) = ranges.Single() switch
        {
            { From: { } first } range => (first, Math.Min(range.To ?? long.MaxValue, total - 1)),
            { To: { } last } => (Math.Max(0, total - last), last == 0 ? -1 : total - 1),
            _ => (0, total - 1),
        };
        return from <= to ? new ByteRange(from, to) : throw new ApiException(
            ErrorCodes.InvalidRequest, $"The range is outside of the {total} bytes that there are.")
        {
            Status = StatusCodes.Status416RangeNotSatisfiable,
            ContentRange = new ContentRangeHeaderValue(total).ToString(),
        };
    }
}
