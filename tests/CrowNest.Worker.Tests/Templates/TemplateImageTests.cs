using System.Net;
using CrowNest.Contracts;
using CrowNest.Platform.Templates;
using CrowNest.Testing;
using CrowNest.Worker.Templates;
using Docker.DotNet.Models;
using Xunit;

namespace CrowNest.Worker.Tests.Templates;

[Trait("Needs", "engine")]
public sealed class TemplateImageTests(BackingServices backing)
{
    [Fact]
    public void From_LabelledImage_IsAVersionOfItsDigest()
    {
        var labels = new Dictionary<string, string>
        {
            ["crownest.template"] = "python-node",
            ["crownest.template.version"] = "2026-11-22",
            ["crownest.network"] = "internet",
        };

        var image = TemplateImage.From(Image(labels));

        Assert.Equal("tplv_python_node_07f7446a85fea3cd", image!.VersionId);
        Assert.True(Ids.IsValid(image.VersionId, Ids.TemplateVersion));
        Assert.Equal(("python-node", "2026-11-22", NetworkPolicy.Internet), (image.Slug, image.Version, image.Network));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("something-else")]
    public void From_ForeignImage_IsNone(string? slug)
    {
        var labels = slug is null ? null : new Dictionary<string, string> { ["crownest.template"] = slug };

        Assert.Null(TemplateImage.From(Image(labels)));
    }

    [Fact]
    public async Task Scan_RegistersEveryImage_OnceItsTemplateIsThere()
    {
        await using var node = await TestNode.StartAsync(backing);
        var templates = node.Get<TemplateImages>();

        await Eventually.HoldsAsync(() => templates.ScanAsync(CancellationToken.None), "all are registered");

        var rows = await node.Get<TemplateVersionStore>().ListAsync(CancellationToken.None);
        Assert.Equal(templates.All.Select(t => t.VersionId).Order(), rows.Select(r => r.Id).Order());
        Assert.Equal(TemplateSlugs.All.Order(), templates.Latest.Select(t => t.Slug).Order());
    }

    [Fact]
    public async Task Start_ImageMissing_IsNamedWithTheRemedy()
    {
        await using var node = await TestNode.StartAsync(backing);
        const string Missing = "tplv_base_00000000deadbeef";
        await node.Get<TemplateVersionStore>().AddAsync(
            new(Missing, "tpl_base", "base", "2020-01-01", "sha256:00000000deadbeef", NetworkPolicy.None, DateTimeOffset.UnixEpoch),
            CancellationToken.None);
        var request = await node.AddRowAsync(versionId: Missing);

        using var response = await node.PostAsync(request);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        var text = await response.Content.ReadAsStringAsync();
        Assert.Contains(ErrorCodes.RuntimeError, text, StringComparison.Ordinal);
        Assert.Contains(Missing, text, StringComparison.Ordinal);
        Assert.Contains("eng/images.sh", text, StringComparison.Ordinal);
        var row = await node.RowAsync(request.SandboxId);
        Assert.Equal(SandboxStatus.Failed, row.State);
        Assert.Contains("eng/images.sh", row.FailureMessage, StringComparison.Ordinal);
    }

    private static ImagesListResponse Image(Dictionary<string, string>? labels) => new()
    {
        ID = "sha256:07f7446a85fea3cd5a79f75bf9b95aba",
        Created = new DateTime(2026, 11, 22, 0, 0, 0, DateTimeKind.Utc),
        Labels = labels!,
    };
}
