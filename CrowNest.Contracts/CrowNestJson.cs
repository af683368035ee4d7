using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace CrowNest.Contracts;

/// <summary>
/// How the wire's JSON is written and read: camelCase, absent instead of null (H1), timestamps of docs/reference/api.md 2.11.
/// </summary>
public static class CrowNestJson
{
    /// <summary>Shared and read-only.</summary>
    public static JsonSerializerOptions Options { get; } = Create();

    /// <summary>Applies the wire's rules to existing options, for example ASP.NET's.</summary>
    public static void Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.DictionaryKeyPolicy = null;
        options.PropertyNameCaseInsensitive = false;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        options.Converters.Add(new TimestampConverter());
    }

    private static JsonSerializerOptions Create()
    {
        var options = new JsonSerializerOptions();
        Configure(options);
        options.TypeInfoResolver = new System.Text.Json.Serialization.Metadata.DefaultJsonTypeInfoResolver();
        options.MakeReadOnly();
        return options;
    }

    /// <summary><c>2026-02-03T04:05:06.789Z</c> (docs/reference/api.md 2.11).</summary>
    private sealed class TimestampConverter : JsonConverter<DateTimeOffset>
    {
        /// <summary>Of <c>2026-02-03T04:05:06.7890123Z</c>, the round-trip format, which is quicker than one of our own.</summary>
        private const int RoundTripLength = 28, MillisecondsEnd = 23;

        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.GetDateTimeOffset().ToUniversalTime();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options)
        {
            // A listing has ten thousand of them.
            Span<byte> text = stackalloc byte[RoundTripLength];
            value.UtcDateTime.TryFormat(text, out _, "O", CultureInfo.InvariantCulture);
            text[MillisecondsEnd] = (byte)'Z';
            writer.WriteStringValue(text[..(MillisecondsEnd + 1)]);
        }
    }
}
