using CrowNest.ServiceDefaults.Transfers;

namespace CrowNest.ServiceDefaults.Tests.Transfers;

public sealed class TransferMemoryTests
{
    private readonly TransferMemory _memory = new();

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    [InlineData(65_536)]
    public void Rent_AnySize_IsAWholeBlock(int size)
    {
        using var block = _memory.Rent(size);

        Assert.Equal(_memory.MaxBufferSize, block.Memory.Length);
    }

    [Fact]
    public void Rent_MoreThanABlock_Throws() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _memory.Rent(_memory.MaxBufferSize + 1));

    [Fact]
    public void Dispose_Twice_LendsTheBlockToOneOnly()
    {
        var first = _memory.Rent();
        first.Dispose();
        first.Dispose();

        using var second = _memory.Rent();
        using var third = _memory.Rent();

        Assert.Same(first, second);
        Assert.NotSame(second, third);
    }

    [Fact]
    public void Create_ForSeveralServers_OutlivesEach()
    {
        using (_memory.Create())
        {
        }

        using var block = _memory.Create().Rent();
        Assert.NotEqual(0, block.Memory.Length);
    }
}
