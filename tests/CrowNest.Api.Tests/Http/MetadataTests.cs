using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace CrowNest.Api.Tests.Http;

/// <summary>docs/reference/api.md 2.12.</summary>
public sealed class MetadataTests
{
    [Fact]
    public void Validate_AtEveryLimit_Passes()
    {
        Metadata.Validate(new Dictionary<string, string>());
        Metadata.Validate(Enumerable.Range(0, 16).ToDictionary(i => $"k_-.:{i}", i => "acme/app \u00e9"));
        Metadata.Validate(new Dictionary<string, string> { [new string('k', 64)] = new('v', 512) });
        // 8 keys of 4 bytes and values of 508 bytes: 4096 in all.
        Metadata.Validate(Enumerable.Range(0, 8).ToDictionary(i => $"key{i}", i => new string('v', 508)));
    }

    [Fact]
    public void Validate_BeyondALimit_HasItsCode()
    {
        Refuses(ErrorCodes.MetadataTooManyKeys, Enumerable.Range(0, 17).ToDictionary(i => $"k{i}", i => ""));
        Refuses(ErrorCodes.MetadataTooLarge, Enumerable.Range(0, 8).ToDictionary(i => $"key{i}", i => new string('v', 509)));
        Refuses(ErrorCodes.MetadataTooLarge, Enumerable.Range(0, 8).ToDictionary(i => $"key{i}", i => new string('\u00e9', 300)));
        Refuses(ErrorCodes.InvalidMetadataKey, new() { [""] = "" });
        Refuses(ErrorCodes.InvalidMetadataKey, new() { [new string('k', 65)] = "" });
        Refuses(ErrorCodes.InvalidMetadataKey, new() { ["a/b"] = "" });
        Refuses(ErrorCodes.InvalidMetadataKey, new() { ["\u00e9"] = "" });
        Refuses(ErrorCodes.InvalidMetadataValue, new() { ["k"] = new string('v', 513) });
        Refuses(ErrorCodes.InvalidMetadataValue, new() { ["k"] = null! });
    }

    [Fact]
    public void ReadFilters_WithDotsAndPlus_AreDecoded()
    {
        var filters = Metadata.ReadFilters(Query("?metadata.a.b=c&metadata.task=codex/1&metadata.name=two+words%2B&limit=5"));
        Assert.Equal(new Dictionary<string, string> { ["a.b"] = "c", ["task"] = "codex/1", ["name"] = "two words+" }, filters);
    }

    [Fact]
    public void ReadFilters_KeysThatDifferInCase_AreTwo()
    {
        var filters = Metadata.ReadFilters(Query("?metadata.a=1&metadata.A=2&METADATA.b=3"));
        Assert.Equal(new Dictionary<string, string> { ["a"] = "1", ["A"] = "2" }, filters);
    }

    [Theory]
    [InlineData("?metadata.=x", ErrorCodes.InvalidMetadataKey)]
    [InlineData("?metadata.a%20b=x", ErrorCodes.InvalidMetadataKey)]
    [InlineData("?metadata.a=1&metadata.a=2", ErrorCodes.InvalidRequest)]
    public void ReadFilters_Malformed_AreRefused(string query, string code) =>
        Assert.Equal(code, Assert.Throws<ApiException>(() => Metadata.ReadFilters(Query(query))).Code);

    private static void Refuses(string code, Dictionary<string, string> metadata) =>
        Assert.Equal(code, Assert.Throws<ApiException>(() => Metadata.Validate(metadata)).Code);

    private static HttpRequest Query(string query) => new DefaultHttpContext { Request = { QueryString = new QueryString(query) } }.Request;
}
