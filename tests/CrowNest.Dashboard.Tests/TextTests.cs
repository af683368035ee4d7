using CrowNest.Contracts;
using CrowNest.Dashboard.Components;
using CrowNest.Dashboard.SignIn;
using Microsoft.Extensions.Configuration;

namespace CrowNest.Dashboard.Tests;

public sealed class TextTests
{
    [Theory]
    [InlineData(null, "")]
    [InlineData("a\nb\tc", "a\nb\tc")]
    [InlineData("a\0\u001b[31m\u007f\u0085", "a^@^[[31m^?\uFFFD")]
    [InlineData("gnp.\u202Eexe", "gnp.\uFFFDexe")]
    public void VisibleText_HiddenCharacters_BecomeSigns(string? text, string expected) => Assert.Equal(expected, VisibleText.Of(text));

    [Fact]
    public void Title_LongOrManyLines_IsOneShortLine()
    {
        Assert.Equal("first", VisibleText.Title("first\nsecond"));
        Assert.Equal(new string('x', 60) + "…", VisibleText.Title(new string('x', 61)));
    }

    [Theory]
    [InlineData(null, "–")]
    [InlineData(0L, "0 ms")]
    [InlineData(999L, "999 ms")]
    [InlineData(1500L, "1.5 s")]
    [InlineData(61_000L, "1 min 1 s")]
    [InlineData(7_200_000L, "2 h")]
    [InlineData(90_000_000L, "1 d 1 h")]
    public void Took_Milliseconds_AreInWords(long? milliseconds, string expected) =>
        Assert.Equal(expected, DurationText.Took(milliseconds));

    [Theory]
    [InlineData("/", true)]
    [InlineData("/sandboxes/sbx_1?x=//y", true)]
    [InlineData("//evil.example", false)]
    [InlineData("/\\evil.example", false)]
    [InlineData("https://evil.example", false)]
    [InlineData("/\tx", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void IsLocal_ReturnPath_StaysHere(string? path, bool expected) => Assert.Equal(expected, DashboardSignInEndpoints.IsLocal(path));

    [Fact]
    public void Look_EveryStatus_HasItsOwnWord()
    {
        var sandbox = new Sandbox
        {
            Id = "sbx_1",
            OrgId = "org_1",
            ProjectId = "prj_1",
            Status = "",
            TemplateId = "",
            TemplateSlug = "",
            TemplateVersion = "",
            TemplateVersionId = "",
            TtlMs = 1,
            ExpiresAt = default,
            CreatedAt = default,
            Metadata = new Dictionary<string, string>(),
        };

        var words = SandboxStatus.All.Select(status => StatusLook.Of(sandbox with { Status = status }).Text).ToArray();

        Assert.Equal(words.Length, words.Distinct().Count());
    }

    [Fact]
    public void Options_FromConfiguration_AreBound()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["CrowNest:DeploymentSecret"] = "secret",
            ["services:api:http:0"] = "http://127.0.0.1:8787/",
            ["CrowNest:StateDirectory"] = "/state",
        }).Build();
        var options = new DashboardOptions();

        DashboardOptions.Bind(options, configuration);

        Assert.Equal("secret", options.DeploymentSecret);
        Assert.Equal("http://127.0.0.1:8787", options.ShownApiUrl);
        Assert.Equal("/state", options.StateDirectory);
        Assert.Equal("localhost;127.0.0.1;[::1]", options.AllowedHosts);
    }
}
