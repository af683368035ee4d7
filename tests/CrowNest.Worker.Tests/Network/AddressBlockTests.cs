using System.Net;
using CrowNest.Worker.Containers.Network;
using Xunit;

namespace CrowNest.Worker.Tests.Network;

public sealed class AddressBlockTests
{
    [Fact]
    public void In_Range_GivesEveryBlockOnceFromTheSeedOn()
    {
        var blocks = AddressBlock.In(IPNetwork.Parse("10.219.0.0/16"), sandboxes: 1000, seed: 3).ToList();

        Assert.Equal(64, blocks.Distinct().Count());
        Assert.Equal("10.219.12.0/22", blocks[0].Range);
        Assert.Equal("10.219.12.1", blocks[0].Gateway);
        Assert.Equal("10.219.12.2", blocks[0].Address(0));
        Assert.Equal("10.219.15.233", blocks[0].Address(999));
        Assert.Equal("10.219.8.0/22", blocks[^1].Range);
    }

    [Fact]
    public void In_RangeTooSmall_GivesNone() =>
        Assert.Empty(AddressBlock.In(IPNetwork.Parse("10.219.0.0/24"), sandboxes: 1000, seed: 0));

    [Theory]
    [InlineData("10.219.12.0/22", true)]
    [InlineData("10.219.13.7/32", true)]
    [InlineData("10.0.0.0/8", true)]
    [InlineData("0.0.0.0/0", true)]
    [InlineData("10.219.16.0/22", false)]
    [InlineData("192.168.0.0/16", false)]
    public void Overlaps_OtherRange_IsToldRight(string other, bool expected)
    {
        var block = AddressBlock.In(IPNetwork.Parse("10.219.0.0/16"), 1000, seed: 3).First();

        Assert.Equal(expected, block.Overlaps(IPNetwork.Parse(other)));
    }
}
