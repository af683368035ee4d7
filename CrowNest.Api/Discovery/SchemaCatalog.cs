using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using CrowNest.Contracts;

namespace CrowNest.Api.Discovery;

/// <summary>
/// JSON schemas of wire types, each under its name in <c>components/schemas</c>. They say what <see cref="CrowNestJson"/> writes: absent
/// members instead of null (H1), so that a member is required exactly when its type is not nullable.
/// </summary>
internal sealed class SchemaCatalog
{
    private readonly SortedDictionary<string, JsonNode> _schemas = new(StringComparer.Ordinal);
    private readonly NullabilityInfoContext _nullability = new();

    /// <summary>A reference to the schema of a wire type.</summary>
    public JsonObject Reference(Type type)
    {
        var name = NameOf(type);
        if (_schemas.TryAdd(name, new JsonObject()))
        {
            var options = new JsonSchemaExporterOptions
            {
                TreatNullObliviousAsNonNullable = true,
                TransformSchemaNode = (context, node) => Transform(context, node, type),
            };
            _schemas[name] = CrowNestJson.Options.GetJsonSchemaAsNode(type, options);
        }

        return new JsonObject { ["$ref"] = $"#/components/schemas/{name}" };
    }

    /// <summary>Every schema that was referred to.</summary>
    public JsonObject ToJson() => new(_schemas.Select(s => KeyValuePair.Create(s.Key, (JsonNode?)s.Value)));

    private JsonNode Transform(JsonSchemaExporterContext context, JsonNode node, Type root)
    {
        var info = context.TypeInfo;
        var type = Nullable.GetUnderlyingType(info.Type) ?? info.Type;
        if (type == typeof(DateTimeOffset))
        {
            return new JsonObject { ["type"] = "string", ["format"] = "date-time" };
        }

        var isWireType = info.Kind == JsonTypeInfoKind.Object && type.Assembly == typeof(CrowNestJson).Assembly;
        if (isWireType && !(type == root && context.PropertyInfo is null && context.Path.IsEmpty))
        {
            return Reference(type);
        }

        if (node is not JsonObject schema)
        {
            return node;
        }

        WithoutNull(schema);
        if (type == typeof(long))
        {
            schema["format"] = "int64";
        }

        if (isWireType)
        {
            // Defaults of constructor parameters are added behind this method's back.
            foreach (var member in (schema["properties"] as JsonObject ?? []).Select(p => p.Value).OfType<JsonObject>())
            {
                WithoutNull(member);
            }

            var required = info.Properties.Where(IsAlwaysThere).Select(p => (JsonNode)p.Name).ToArray();
            schema.Remove("required");
            if (required.Length > 0)
            {
                schema["required"] = new JsonArray(required);
            }
        }

        return schema;
    }

    private bool IsAlwaysThere(JsonPropertyInfo member) => member.AttributeProvider is PropertyInfo property
        && Nullable.GetUnderlyingType(property.PropertyType) is null
        && _nullability.Create(property).ReadState != NullabilityState.Nullable;

    /// <summary><c>["string", "null"]</c> is written as <c>"string"</c>, and a default of null not at all.</summary>
    private static void WithoutNull(JsonObject schema)
    {
        if (schema["type"] is JsonArray types)
        {
            var kept = types.Select(t => t!.GetValue<string>()).Where(t => t != "null").ToArray();
            schema["type"] = kept.Length == 1 ? kept[0] : new JsonArray([.. kept.Select(t => (JsonNode)t)]);
        }

        if (schema.TryGetPropertyValue("default", out var value) && value is null)
        {
            schema.Remove("default");
        }
    }

    /// <summary><c>Page&lt;Sandbox&gt;</c> is <c>SandboxPage</c>.</summary>
    private static string NameOf(Type type) => type.IsGenericType
        ? string.Concat(type.GetGenericArguments().Select(NameOf)) + type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]
        : type.Name;
}
