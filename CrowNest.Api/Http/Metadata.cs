using System.Text;
using System.Text.Json.Nodes;
using CrowNest.Contracts;
using Microsoft.AspNetCore.WebUtilities;

namespace CrowNest.Api.Http;

/// <summary>The flat string map of docs/reference/api.md 2.12.</summary>
internal static class Metadata
{
    private const string FilterPrefix = "metadata.";

    /// <summary>Checks a map from a body; a null value is one that was no string.</summary>
    /// <exception cref="ApiException">400 with the code of the rule that is broken.</exception>
    /// <param name="member">The body's member that holds the map.</param>
    public static void Validate(IReadOnlyDictionary<string, string> metadata, string member = "metadata")
    {
        if (metadata.Count > Limits.MetadataKeys)
        {
            throw new ApiException(ErrorCodes.MetadataTooManyKeys, $"Metadata may have at most {Limits.MetadataKeys} keys.",
                new JsonObject { ["field"] = member, ["max"] = Limits.MetadataKeys });
        }

        var total = 0;
        foreach (var (key, value) in metadata)
        {
            var field = $"{member}.{key}";
            ValidateKey(key, field);
            if (value is null || value.Length > Limits.MetadataValueLength)
            {
                throw new ApiException(ErrorCodes.InvalidMetadataValue,
                    $"A metadata value must be a string of at most {Limits.MetadataValueLength} characters.",
                    new JsonObject { ["field"] = field, ["max"] = Limits.MetadataValueLength });
            }

            total += Encoding.UTF8.GetByteCount(key) + Encoding.UTF8.GetByteCount(value);
        }

        if (total > Limits.MetadataBytes)
        {
            throw new ApiException(ErrorCodes.MetadataTooLarge, $"Metadata may have at most {Limits.MetadataBytes} bytes.",
                new JsonObject { ["field"] = member, ["max"] = Limits.MetadataBytes });
        }
    }

    /// <summary><c>metadata.a.b=c</c> filters by the key <c>a.b</c>; several filters combine with AND.</summary>
    /// <exception cref="ApiException">400: a key is malformed or asked to be two values at once.</exception>
    public static IReadOnlyDictionary<string, string> ReadFilters(HttpRequest request)
    {
        var filters = new Dictionary<string, string>(StringComparer.Ordinal);
        // Not request.Query, to which metadata.a and metadata.A are one name.
        foreach (var parameter in new QueryStringEnumerable(request.QueryString.Value))
        {
            var name = parameter.DecodeName().ToString();
            if (name.StartsWith(FilterPrefix, StringComparison.Ordinal))
            {
                var key = name[FilterPrefix.Length..];
                ValidateKey(key, name);
                if (!filters.TryAdd(key, parameter.DecodeValue().ToString()))
                {
                    throw Paging.Repeated(name);
                }
            }
        }

        return filters;
    }

    private static void ValidateKey(string key, string field)
    {
        if (key.Length is 0 or > Limits.MetadataKeyLength || !key.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or ':'))
        {
            throw new ApiException(ErrorCodes.InvalidMetadataKey,
                $"A metadata key has 1 to {Limits.MetadataKeyLength} characters of a-z A-Z 0-9 _ - . :",
                new JsonObject { ["field"] = field });
        }
    }
}
