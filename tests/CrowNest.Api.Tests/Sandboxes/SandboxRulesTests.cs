using CrowNest.Api.Http;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using Xunit;

namespace CrowNest.Api.Tests.Sandboxes;

public sealed class SandboxRulesTests
{
    private static readonly PlanLimits Plan = new() { CreateTtlMs = 1000, ExtendTtlMs = 5000, SessionMs = 8000, ConcurrentSandboxes = 1 };

    [Theory]
    [InlineData(null, 1000L)]
    [InlineData(1L, 1L)]
    [InlineData(1000L, 1000L)]
    public void CreateTtl_WithinTheCeiling_IsGranted(long? requested, long expected) =>
        Assert.Equal(expected, SandboxRules.CreateTtl(requested, Plan, new SandboxOptions()));

    [Fact]
    public void CreateTtl_DefaultBelowTheCeiling_IsTheDefault() =>
        Assert.Equal(500, SandboxRules.CreateTtl(null, Plan, new SandboxOptions { DefaultTtlMs = 500 }));

    [Theory]
    [InlineData(0L, "invalid_request")]
    [InlineData(long.MinValue, "invalid_request")]
    [InlineData(1001L, "sandbox_ttl_exceeded")]
    [InlineData(long.MaxValue, "sandbox_ttl_exceeded")]
    public void CreateTtl_Outside_IsRefused(long requested, string code) =>
        Assert.Equal(code, Assert.Throws<ApiException>(() => SandboxRules.CreateTtl(requested, Plan, new SandboxOptions())).Code);

    [Theory]
    [InlineData(0, 5000, true)]
    [InlineData(0, 5001, false)]
    [InlineData(3000, 5000, true)]
    [InlineData(3001, 5000, false)]
    [InlineData(7999, 1, true)]
    [InlineData(8000, 1, false)]
    [InlineData(9000, 1, false)]
    public void ExtendTtl_BothCeilings_Hold(int ageMs, long ttlMs, bool fits)
    {
        var age = TimeSpan.FromMilliseconds(ageMs);
        if (fits)
        {
            Assert.Equal(ttlMs, SandboxRules.ExtendTtl(ttlMs, age, Plan));
            return;
        }

        Assert.Equal("sandbox_ttl_exceeded", Assert.Throws<ApiException>(() => SandboxRules.ExtendTtl(ttlMs, age, Plan)).Code);
    }

    [Theory]
    [InlineData(0.1, 128, true)]
    [InlineData(8.0, 16_384, true)]
    [InlineData(0.09, 128, false)]
    [InlineData(8.01, 128, false)]
    [InlineData(1.0, 127, false)]
    [InlineData(1.0, 16_385, false)]
    public void Resources_Range_IsInclusive(double cpus, int memoryMb, bool fits)
    {
        var requested = new SandboxResources(cpus, memoryMb);
        if (fits)
        {
            Assert.Equal((cpus, memoryMb), SandboxRules.Resources(requested, new ResourceRange()));
            return;
        }

        Assert.Equal(
            "unsupported_runtime_option", Assert.Throws<ApiException>(() => SandboxRules.Resources(requested, new ResourceRange())).Code);
    }

    [Fact]
    public void Resources_AbsentMembers_TakeTheDefaults()
    {
        Assert.Equal((1.0, 1024), SandboxRules.Resources(null, new ResourceRange()));
        Assert.Equal((2.0, 1024), SandboxRules.Resources(new SandboxResources(Cpus: 2), new ResourceRange()));
        Assert.Equal((1.0, 256), SandboxRules.Resources(new SandboxResources(MemoryMb: 256), new ResourceRange()));
    }

    [Theory]
    [InlineData(null, "internet", true, "internet")]
    [InlineData("none", "internet", true, "none")]
    [InlineData(null, "internet", false, "none")]
    [InlineData(null, "none", true, "none")]
    [InlineData("internet", "none", true, "internet")]
    public void Network_DefaultIsTheVersions_UnlessForbidden(string? requested, string ofVersion, bool allowed, string expected)
    {
        var options = new SandboxOptions { AllowInternet = allowed };
        SandboxRules.CheckNetwork(requested, options);
        Assert.Equal(expected, SandboxRules.Network(requested, ofVersion, options));
    }

    [Theory]
    [InlineData("internet", "unsupported_runtime_option")]
    [InlineData("host", "invalid_request")]
    [InlineData("", "invalid_request")]
    public void CheckNetwork_NotHere_IsRefused(string requested, string code) => Assert.Equal(
        code, Assert.Throws<ApiException>(() => SandboxRules.CheckNetwork(requested, new SandboxOptions { AllowInternet = false })).Code);
}
