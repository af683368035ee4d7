using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Tenancy;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Http;

public sealed class PagingTests
{
    [Fact]
    public void Cursor_EncodedAndDecoded_IsTheSamePosition()
    {
        var position = new ListPosition(new DateTimeOffset(2026, 2, 3, 4, 5, 6, TimeSpan.Zero).AddTicks(7_654_321), "sbx_abc-DEF_1");
        Assert.Equal(position, Paging.Decode(Paging.Encode(position)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("not base64!")]
    [InlineData("AAAA")]
    [InlineData("AgAAAAAAAAAAAHg")]
    [InlineData("Af____________94")]
    [InlineData("AQAAAAAAAAAAAA")]
    public void Cursor_ThatWeNeverMade_IsInvalidRequest(string cursor)
    {
        var error = Assert.Throws<ApiException>(() => Paging.Read(Query($"?cursor={cursor}")));
        Assert.Equal(ErrorCodes.InvalidRequest, error.Code);
        Assert.Equal("cursor", (string?)error.Details!["field"]);
    }

    [Theory]
    [InlineData("", 50)]
    [InlineData("?limit=1", 1)]
    [InlineData("?limit=500", 500)]
    public void Limit_Valid_IsTaken(string query, int limit) => Assert.Equal(limit, Paging.Read(Query(query)).Limit);

    [Theory]
    [InlineData("?limit=0")]
    [InlineData("?limit=501")]
    [InlineData("?limit=-1")]
    [InlineData("?limit=")]
    [InlineData("?limit=+5")]
    [InlineData("?limit=1.0")]
    [InlineData("?limit=99999999999999")]
    [InlineData("?limit=1&limit=2")]
    public void Limit_Invalid_IsInvalidRequest(string query) =>
        Assert.Equal(ErrorCodes.InvalidRequest, Assert.Throws<ApiException>(() => Paging.Read(Query(query))).Code);

    [Theory]
    [InlineData("", null, 100)]
    [InlineData("?afterSeq=0&limit=7", 0L, 7)]
    [InlineData("?afterSeq=9007199254740993", 9007199254740993L, 100)]
    public void AfterSeq_Valid_IsTaken(string query, long? afterSeq, int limit) =>
        Assert.Equal(new SeqRequest(afterSeq, limit), Paging.ReadSeq(Query(query)));

    [Theory]
    [InlineData("?afterSeq=-1")]
    [InlineData("?afterSeq=x")]
    [InlineData("?afterSeq=")]
    [InlineData("?afterSeq=1&afterSeq=2")]
    public void AfterSeq_Invalid_IsInvalidRequest(string query) =>
        Assert.Equal(ErrorCodes.InvalidRequest, Assert.Throws<ApiException>(() => Paging.ReadSeq(Query(query))).Code);

    [Fact]
    public void Build_WithOneRowTooMany_HasANextPage()
    {
        var request = new PageRequest(2, null);
        string[] rows = ["c", "b", "a"];
        var page = Paging.Build(request, rows, id => new ListPosition(DateTimeOffset.UnixEpoch, id), id => id.ToUpperInvariant());
        Assert.Equal(["C", "B"], page.Data);
        Assert.True(page.HasMore);
        Assert.Equal("b", Paging.Decode(page.NextCursor!).Id);
        var last = Paging.Build(request, rows[..2], id => new ListPosition(DateTimeOffset.UnixEpoch, id), id => id);
        Assert.False(last.HasMore);
        Assert.Null(last.NextCursor);
    }

    private static HttpRequest Query(string query) => new DefaultHttpContext { Request = { QueryString = new QueryString(query) } }.Request;
}
