extern alias api;

using System.Text.Json;
using System.Text.RegularExpressions;
using CrowNest.Testing;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Hosting;

namespace CrowNest.Dashboard.Tests;

/// <summary>The API's own OpenAPI document, and what is wrong with an exchange by it.</summary>
internal sealed partial class ApiContract
{
    private static readonly Lazy<Task<ApiContract>> Read = new(ReadAsync);
    private readonly JsonElement _document;
    private readonly List<(Regex Path, string Template, JsonElement Item)> _paths;

    private ApiContract(JsonElement document)
    {
        _document = document;
        // Literal segments before parameters, as routing decides.
        _paths = [.. document.GetProperty("paths").EnumerateObject().OrderBy(p => p.Name.Count(c => c == '{'))
            .Select(p => (new Regex($"^{Parameter().Replace(p.Name, "[^/]+")}$"), p.Name, p.Value))];
    }

    /// <summary>That of this build, read once.</summary>
    public static Task<ApiContract> Current => Read.Value;

    /// <summary>Whether there is such a route; the names of its parameters may differ.</summary>
    public bool Has(string method, string route) => Find(method, Parameter().Replace(route, "x")) is not null;

    /// <summary>What a request says that the API does not take.</summary>
    public IEnumerable<string> FaultsOfRequest(string method, string path, IEnumerable<string> query, JsonElement? body)
    {
        if (Find(method, path) is not { } operation)
        {
            return [$"{method} {path}: no such route"];
        }

        var known = operation.TryGetProperty("parameters", out var parameters)
            ? parameters.EnumerateArray().Select(Resolve).Where(p => p.GetProperty("in").GetString() == "query")
                .Select(p => p.GetProperty("name").GetString()!).ToList() : [];
        var faults = query.Where(q => !known.Contains(q) && !(q.StartsWith("metadata.", StringComparison.Ordinal) && known.Contains("metadata.<key>")))
            .Select(q => $"{method} {path}: no query member '{q}'").ToList();
        if (body is { } sent)
        {
            if (operation.TryGetProperty("requestBody", out var expected) && expected.GetProperty("content").TryGetProperty("application/json", out var json))
                Check(sent, json.GetProperty("schema"), $"{method} {path} body", faults);
            else
                faults.Add($"{method} {path}: no JSON body");
        }

        return faults;
    }

    /// <summary>What an answer says that the API does not.</summary>
    /// <param name="body">The JSON of an <c>application/json</c> answer.</param>
    public IEnumerable<string> FaultsOfAnswer(string method, string path, int status, string? contentType, JsonElement? body)
    {
        var what = $"{method} {path} -> {status}";
        if (Find(method, path) is not { } operation)
        {
            return [$"{what}: no such route"];
        }

        if (!operation.GetProperty("responses").TryGetProperty($"{status}", out var response))
        {
            return [$"{what}: no such status"];
        }

        var type = contentType?.Split(';')[0];
        if (type is null || !response.TryGetProperty("content", out var content) || !content.TryGetProperty(type, out var media))
        {
            return [$"{what}: no content of type '{type}'"];
        }

        var faults = new List<string>();
        if (body is { } answer)
        {
            Check(answer, media.GetProperty("schema"), what, faults);
            if (status >= 400 && answer.GetProperty("error").GetProperty("code").GetString() is { } code
                && !response.GetProperty("description").GetString()!.Contains($"`{code}`", StringComparison.Ordinal))
            {
                faults.Add($"{what}: never '{code}'");
            }
        }

        return faults;
    }

    private static async Task<ApiContract> ReadAsync()
    {
        await using var host = new Host();
        using var client = host.CreateClient();
        using var document = JsonDocument.Parse(await client.GetStringAsync(new Uri("/openapi.json", UriKind.Relative)));
        return new ApiContract(document.RootElement.Clone());
    }

    private JsonElement? Find(string method, string path)
    {
        foreach (var (pattern, _, item) in _paths)
        {
            if (pattern.IsMatch(path) && item.TryGetProperty(method.ToLowerInvariant(), out var operation))
                return operation;
        }

        return null;
    }

    private JsonElement Resolve(JsonElement schema)
    {
        while (schema.TryGetProperty("$ref", out var reference))
        {
            var target = _document;
            foreach (var step in reference.GetString()!.Split('/')[1..])
                target = target.GetProperty(step);
            schema = target;
        }

        return schema;
    }

    private void Check(JsonElement value, JsonElement reference, string where, List<string> faults)
    {
        var schema = Resolve(reference);
        if (schema.TryGetProperty("type", out var type) && !IsOf(value, type.GetString()!))
        {
            faults.Add($"{where}: {value.ValueKind} instead of {type}");
            return;
        }

        if (schema.TryGetProperty("format", out var format) && format.GetString() == "date-time" && !value.TryGetDateTimeOffset(out _))
            faults.Add($"{where}: '{value}' is no time");
        if (value.ValueKind == JsonValueKind.Array && schema.TryGetProperty("items", out var items))
        {
            foreach (var item in value.EnumerateArray())
                Check(item, items, $"{where}[]", faults);
        }

        if (value.ValueKind != JsonValueKind.Object)
            return;
        var properties = schema.TryGetProperty("properties", out var known) ? known : default;
        foreach (var member in value.EnumerateObject())
        {
            if (properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(member.Name, out var inner))
                Check(member.Value, inner, $"{where}.{member.Name}", faults);
            else if (schema.TryGetProperty("additionalProperties", out var any) && any.ValueKind == JsonValueKind.Object)
                Check(member.Value, any, $"{where}.{member.Name}", faults);
            else if (properties.ValueKind == JsonValueKind.Object)
                faults.Add($"{where}: no member '{member.Name}'");
        }

        if (schema.TryGetProperty("required", out var required))
        {
            faults.AddRange(required.EnumerateArray().Select(r => r.GetString()!).Where(r => !value.TryGetProperty(r, out _))
                .Select(r => $"{where}: '{r}' is missing"));
        }
    }

    private static bool IsOf(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        "number" => value.ValueKind == JsonValueKind.Number,
        _ => throw new NotSupportedException($"Schemas of type {type} are new to this check."),
    };

    [GeneratedRegex("\\{[^}]+\\}")]
    private static partial Regex Parameter();

    /// <summary>The API with its routes and without anything that needs a database.</summary>
    private sealed class Host : WebApplicationFactory<api::Program>
    {
        private readonly string _directory = Directory.CreateTempSubdirectory("crownest-contract-").FullName;

        public override async ValueTask DisposeAsync()
        {
            await base.DisposeAsync();
            Directory.Delete(_directory, recursive: true);
        }

        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseEnvironment("Testing");
            builder.UseSetting("ConnectionStrings:crownest", $"Host=127.0.0.1;Port={FreePort.Next()};Username=nobody");
            builder.UseSetting("ConnectionStrings:redis", $"127.0.0.1:{FreePort.Next()}");
            builder.UseSetting("CrowNest:DeploymentSecret", FakeApi.Secret);
            builder.UseSetting("Objects:Directory", _directory);
            builder.UseSetting("Logging:LogLevel:Default", "Warning");
            builder.ConfigureTestServices(services =>
            {
                foreach (var service in services.Where(s => s.ServiceType == typeof(IHostedService)
                    && s.ImplementationType?.Name != "GenericWebHostService").ToList())
                {
                    services.Remove(service);
                }
            });
        }
    }
}
