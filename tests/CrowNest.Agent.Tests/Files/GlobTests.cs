using System.Diagnostics;
using CrowNest.Agent.Files.Search;

namespace CrowNest.Agent.Tests.Files;

public sealed class GlobTests
{
    [Theory]
    [InlineData("*", "", true)]
    [InlineData("", "", true)]
    [InlineData("a*b*c", "aXbYbc", true)]
    [InlineData("a*b*c", "aXbYb", false)]
    [InlineData("?", "", false)]
    [InlineData("[abc]x", "bx", true)]
    [InlineData("[a-c]x", "dx", false)]
    [InlineData("[!a-c]x", "dx", true)]
    [InlineData("[]x]", "]", true)]
    [InlineData("[!]]", "x", true)]
    [InlineData("[", "[", true)]
    [InlineData("a[b", "a[b", true)]
    [InlineData("\\*", "*", true)]
    [InlineData("\\*", "x", false)]
    [InlineData("\\", "\\", true)]
    public void Matches_Pattern_AsTheShellDoes(string pattern, string name, bool matches) =>
        Assert.Equal(matches, new Glob(pattern, caseSensitive: true).Matches(name));

    [Fact]
    public void Matches_ManyStars_TakesNoTime()
    {
        var watch = Stopwatch.StartNew();

        Assert.False(new Glob(string.Concat(Enumerable.Repeat("*a", 400)) + "b", true).Matches(new string('a', 255)));

        Assert.InRange(watch.ElapsedMilliseconds, 0, 1000);
    }
}
