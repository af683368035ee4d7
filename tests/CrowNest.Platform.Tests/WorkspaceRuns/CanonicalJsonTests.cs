using System.Text;
using System.Text.Json;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using Xunit;

namespace CrowNest.Platform.Tests.WorkspaceRuns;

public sealed class CanonicalJsonTests
{
    [Theory]
    [InlineData("""{ "b": 1, "a": [ true, false, null, {} ], "": "" }""", """{"":"","a":[true,false,null,{}],"b":1}""")]
    [InlineData("\"\\u0007\\u001b\\b\\t\\n\\f\\r\\\"\\\\\\/\"", "\"\\u0007\\u001b\\b\\t\\n\\f\\r\\\"\\\\/\"")]
    [InlineData("\"\\u20ac\\u2028<>&'\\u007f\"", "\"€\u2028<>&'\u007f\"")]
    [InlineData("1.0e0", null)]
    [InlineData("0.5", null)]
    [InlineData("9007199254740993", null)]
    [InlineData("-12", "-12")]
    // The order of RFC 8785 3.2.3: by UTF-16 code units, so that the surrogates of a smiley come before U+FB33.
    [InlineData("""{"\ud83d\ude02":1,"\ufb33":2,"\u20ac":3,"1":4,"\r":5}""", "{\"\\r\":5,\"1\":4,\"€\":3,\"\ud83d\ude02\":1,\"\ufb33\":2}")]
    public void Write_AnyValue_HasTheOneForm(string json, string? expected)
    {
        var value = JsonSerializer.Deserialize<JsonElement>(json);
        if (expected is null)
        {
            Assert.Throws<ArgumentException>(() => CanonicalJson.Write(value));
        }
        else
        {
            Assert.Equal(expected, Encoding.UTF8.GetString(CanonicalJson.Write(value)));
        }
    }
}
