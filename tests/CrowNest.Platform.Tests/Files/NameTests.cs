using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Sandboxes;
using Xunit;

namespace CrowNest.Platform.Tests.Files;

/// <summary>What is told from names alone.</summary>
public sealed class NameTests
{
    [Theory]
    [InlineData("app.js", "text/javascript")]
    [InlineData("builds/42/page.HTML", "text/html")]
    [InlineData("a.json", "application/json")]
    [InlineData("README.md", "text/markdown")]
    [InlineData("main.ts", "text/plain")]
    [InlineData("data.tar.gz", "application/gzip")]
    [InlineData("data.csv", "text/csv")]
    [InlineData("photo.png", "image/png")]
    [InlineData("Makefile", MediaTypes.Unknown)]
    [InlineData("a.unheard-of", MediaTypes.Unknown)]
    [InlineData("", MediaTypes.Unknown)]
    [InlineData(".", MediaTypes.Unknown)]
    public void MediaType_OfName_GoesByItsEnding(string name, string type) => Assert.Equal(type, MediaTypes.Of(name));

    [Theory]
    [InlineData("a/b", "a/b")]
    [InlineData("/workspace/./a//b/../c/", "a/c")]
    [InlineData("/workspace", "")]
    [InlineData("", "")]
    public void Below_NormalizedPath_IsRelativeToTheWorkspace(string path, string below) =>
        Assert.Equal(below, WorkspacePath.Below(WorkspacePath.Normalize(path)!));

    [Fact]
    public void Derive_SameOrigin_IsTheSameValidId()
    {
        var id = Ids.Derive(Ids.Artifact, "cmd_1/0");

        Assert.True(Ids.IsValid(id, Ids.Artifact));
        Assert.Equal(id.Length, Ids.New(Ids.Artifact).Length);
        Assert.Equal(id, Ids.Derive(Ids.Artifact, "cmd_1/0"));
        Assert.NotEqual(id, Ids.Derive(Ids.Artifact, "cmd_1/1"));
    }
}
