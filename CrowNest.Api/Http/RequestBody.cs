using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using CrowNest.Contracts;

namespace CrowNest.Api.Http;

/// <summary>
/// A JSON object that came as the body of a request (docs/reference/api.md 2.2). Handlers read it after they have found their resource.
/// </summary>
internal sealed class RequestBody
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    private readonly JsonElement _root;

    private RequestBody(JsonElement root) => _root = root;

    /// <summary>Whether the member is there, whatever its value; for members that a route refuses.</summary>
    public bool Has(string member) => _root.TryGetProperty(member, out _);

    /// <summary>Whether the member is the JSON value <c>true</c>.</summary>
    public bool IsTrue(string member) => _root.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.True;

    /// <summary>The body as a wire type. Unknown members are ignored (H9).</summary>
    /// <exception cref="ApiException">400: a member has the wrong type; <c>details.field</c> names it.</exception>
    public T Read<T>()
    {
        try
        {
            return _root.Deserialize<T>(CrowNestJson.Options)!;
        }
        catch (JsonException exception)
        {
            var field = FieldOf(exception.Path);
            throw field.StartsWith("metadata.", StringComparison.Ordinal) || field.StartsWith("sourceMetadata.", StringComparison.Ordinal)
                ? new ApiException(ErrorCodes.InvalidMetadataValue, "Metadata values must be strings.", new JsonObject { ["field"] = field })
                : ApiException.InvalidField(field, $"'{field}' has the wrong type.");
        }
    }

    /// <summary>Shortcut for the other <c>ReadAsync</c> and <see cref="Read"/>.</summary>
    public static async ValueTask<T> ReadAsync<T>(HttpContext context, CancellationToken cancellationToken, bool optional = false) =>
        (await ReadAsync(context, cancellationToken, optional)).Read<T>();

    /// <summary>Reads the body whatever its <c>Content-Type</c>.</summary>
    /// <param name="optional">An empty body counts as <c>{}</c> (H10).</param>
    /// <param name="rawMember">Left unread: no text of the platform's own. <see cref="ReadRaw"/> gives it.</param>
    /// <exception cref="ApiException">400 not a JSON object, 413 more than 1 MiB.</exception>
    public static async ValueTask<RequestBody> ReadAsync(
        HttpContext context, CancellationToken cancellationToken, bool optional = false, string? rawMember = null)
    {
        var bytes = await BufferAsync(context, cancellationToken);
        return Parse(optional && bytes.IsEmpty ? "{}"u8.ToArray() : bytes, rawMember);
    }

    /// <summary>
    /// A member's text as UTF-8, its escapes resolved. Never a string, which would be twice as large and made twice for a file's content.
    /// </summary>
    /// <returns>null: it is not there.</returns>
    /// <exception cref="ApiException">400: it is no text.</exception>
    /// <exception cref="InvalidOperationException">It is not valid Unicode.</exception>
    public Memory<byte>? ReadRaw(string member)
    {
        if (!_root.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            throw ApiException.InvalidField(member, $"'{member}' has the wrong type.");
        }

        var json = JsonMarshal.GetRawUtf8Value(value);
        var reader = new Utf8JsonReader(json);
        reader.Read();
        var text = new byte[json.Length];
        return text.AsMemory(0, reader.CopyString(text));
    }

    /// <summary>The raw bytes; read once, then kept for the request.</summary>
    /// <exception cref="ApiException">413: more than <see cref="Limits.JsonBodyBytes"/>.</exception>
    internal static async ValueTask<ReadOnlyMemory<byte>> BufferAsync(HttpContext context, CancellationToken cancellationToken)
    {
        if (context.Features.Get<BufferedBody>() is { } buffered)
        {
            return buffered.Bytes;
        }

        var request = context.Request;
        if (request.ContentLength > Limits.JsonBodyBytes)
        {
            throw TooLarge();
        }

        var bytes = Array.Empty<byte>();
        while (true)
        {
            var read = await request.BodyReader.ReadAsync(cancellationToken);
            if (read.Buffer.Length > Limits.JsonBodyBytes)
            {
                request.BodyReader.AdvanceTo(read.Buffer.End);
                throw TooLarge();
            }

            if (read.IsCompleted)
            {
                bytes = read.Buffer.ToArray();
                request.BodyReader.AdvanceTo(read.Buffer.End);
                break;
            }

            request.BodyReader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        context.Features.Set(new BufferedBody(bytes));
        return bytes;
    }

    private static ApiException TooLarge() =>
        new(ErrorCodes.InvalidRequest, $"The request body is larger than {Limits.JsonBodyBytes} bytes.",
            new JsonObject { ["max"] = Limits.JsonBodyBytes })
        { Status = StatusCodes.Status413PayloadTooLarge };

    private static RequestBody Parse(ReadOnlyMemory<byte> bytes, string? rawMember)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new ApiException(ErrorCodes.InvalidRequest, "The request body must be a JSON object.");
            }

            RefuseUnstorableText(document.RootElement, "", rawMember);
            return new RequestBody(document.RootElement.Clone());
        }
        catch (JsonException)
        {
            throw new ApiException(ErrorCodes.InvalidRequest, "The request body is not valid JSON.");
        }
    }

    /// <summary>NUL is no text in Postgres and ends an argument of a process; half a surrogate pair is no text anywhere.</summary>
    private static void RefuseUnstorableText(JsonElement element, string field, string? rawMember)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    var name = Text(() => member.Name, field.Length == 0 ? "body" : field);
                    RefuseUnstorableText(member.Value, field.Length == 0 ? name : $"{field}.{name}", rawMember);
                }

                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in element.EnumerateArray())
                {
                    RefuseUnstorableText(item, $"{field}[{index++}]", rawMember);
                }

                break;
            case JsonValueKind.String when field != rawMember:
                Text(() => element.GetString()!, field);
                break;
            default:
                break;
        }

        string Text(Func<string> read, string field)
        {
            try
            {
                var text = read();
                return text.Contains('\0')
                    ? throw ApiException.InvalidField(field, $"'{field}' contains a NUL character.")
                    : text;
            }
            catch (InvalidOperationException)
            {
                throw ApiException.InvalidField(field, $"'{field}' is not valid Unicode text.");
            }
        }
    }

    /// <summary><c>$.resources.cpus</c> is <c>resources.cpus</c>; <c>$.metadata['a.b']</c> is <c>metadata.a.b</c>.</summary>
    private static string FieldOf(string? path)
    {
        if (path is null or "$")
        {
            return "body";
        }

        var field = path[1..].Replace("['", ".", StringComparison.Ordinal).Replace("']", "", StringComparison.Ordinal);
        return field.TrimStart('.');
    }

    private sealed record BufferedBody(ReadOnlyMemory<byte> Bytes);
}
