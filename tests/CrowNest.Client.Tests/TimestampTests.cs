using System.Globalization;
using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Client.Tests;

/// <summary>docs/reference/api.md 2.11.</summary>
public sealed class TimestampTests
{
    [Theory]
    [InlineData("2026-02-03T04:05:06.789Z", "2026-02-03T04:05:06.789Z")]
    [InlineData("2026-02-03T04:05:06Z", "2026-02-03T04:05:06.000Z")]
    [InlineData("2026-02-03T04:05:06.7899999Z", "2026-02-03T04:05:06.789Z")]
    [InlineData("2026-02-03T00:05:06.5+02:30", "2026-02-02T21:35:06.500Z")]
    [InlineData("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z")]
    [InlineData("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z")]
    public void Write_AnyPrecisionAndOffset_IsUtcWithMilliseconds(string time, string expected)
    {
        var value = DateTimeOffset.Parse(time, CultureInfo.InvariantCulture);
        Assert.Equal($"\"{expected}\"", JsonSerializer.Serialize(value, CrowNestJson.Options));
        Assert.Equal(
            DateTimeOffset.Parse(expected, CultureInfo.InvariantCulture),
            JsonSerializer.Deserialize<DateTimeOffset>($"\"{expected}\"", CrowNestJson.Options));
    }
}
