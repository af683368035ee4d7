using CrowNest.Agent.Files;
using CrowNest.Agent.Http;
using Microsoft.AspNetCore.Http;

namespace CrowNest.Agent.Tests.Files;

public sealed class FileQueryTests
{
    [Theory]
    [InlineData("?path=a+b", "a+b")]
    [InlineData("?path=a%2Bb%20c%26", "a+b c&")]
    [InlineData("?x=1&path=%C3%A4=%0A", "\u00e4=\n")]
    [InlineData("?path", "")]
    [InlineData("?x=1", null)]
    public void Text_PercentEncoded_IsDecodedOnce(string query, string? path) => Assert.Equal(path, Query(query).Text("path"));

    [Theory]
    [InlineData("?path=%4")]
    [InlineData("?path=%")]
    [InlineData("?path=%zz")]
    [InlineData("?path=%+1")]
    [InlineData("?path=%FF")]
    [InlineData("?path=%ED%A0%80")]
    [InlineData("?path=a&path=b")]
    public void Construct_Damaged_IsInvalid(string query) =>
        Assert.Equal("invalid_request", Assert.Throws<AgentException>(() => Query(query)).Error.Code);

    private static FileQuery Query(string query) =>
        new(new DefaultHttpContext { Request = { QueryString = new QueryString(query) } }.Request);
}
