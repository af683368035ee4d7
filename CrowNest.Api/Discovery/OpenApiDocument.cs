using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Discovery;

/// <summary>
/// Writes OpenAPI 3.1 (docs/reference/api.md 15) from the routes' own metadata: what is not mapped is not described, and nothing else is.
/// </summary>
internal static class OpenApiDocument
{
    private const string ErrorDescription = "The error envelope, with one of these codes: ";

    /// <summary>In the contract's order; Templates and Agent Sessions are additions of this system.</summary>
    private static readonly string[] Tags =
    [
        "Discovery", "Auth", "Projects", "Usage", "API Keys", "Sandboxes", "Templates", "Commands", "Code", "Files", "Artifacts",
        "Agent Sessions", "Previews",
        "Workspace Runs",
    ];

    private static readonly string[] CodesOfEveryV1Operation =
    [
        ErrorCodes.InvalidRequest, ErrorCodes.Unauthorized, ErrorCodes.InvalidApiKey, ErrorCodes.Forbidden, ErrorCodes.OrgSuspended,
        ErrorCodes.NotFound, ErrorCodes.RateLimited, ErrorCodes.InternalError,
    ];

    public static JsonObject Create(IEnumerable<RouteEndpoint> endpoints, string baseUrl)
    {
        var schemas = new SchemaCatalog();
        var paths = new JsonObject();
        var used = new HashSet<string>();
        foreach (var endpoint in endpoints.OrderBy(e => PathOf(e), StringComparer.Ordinal))
        {
            if (endpoint.Metadata.GetMetadata<Operation>() is not { Published: true } operation)
            {
                continue;
            }

            used.Add(operation.Tag);
            var path = PathOf(endpoint);
            var item = paths[path] as JsonObject ?? (JsonObject)(paths[path] = new JsonObject());
            foreach (var method in endpoint.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods)
            {
                item[method.ToLowerInvariant()] = Describe(endpoint, operation, schemas);
            }
        }

        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = "CrowNest API", ["version"] = "1.0.0" },
            ["servers"] = new JsonArray(new JsonObject { ["url"] = baseUrl }),
            ["tags"] = new JsonArray([.. Tags.Where(used.Contains).Select(t => new JsonObject { ["name"] = t })]),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["securitySchemes"] = new JsonObject { ["bearerAuth"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" } },
                ["parameters"] = SharedParameters(),
                ["schemas"] = schemas.ToJson(),
            },
        };
    }

    private static JsonObject Describe(RouteEndpoint endpoint, Operation operation, SchemaCatalog schemas)
    {
        var isV1 = endpoint.Metadata.GetMetadata<CallerRequired>() is not null;
        var idempotency = endpoint.Metadata.GetMetadata<IdempotencyHonoured>();
        var json = new JsonObject
        {
            ["operationId"] = operation.Id,
            ["tags"] = new JsonArray(operation.Tag),
            ["summary"] = operation.Summary,
            ["security"] = isV1 ? new JsonArray(new JsonObject { ["bearerAuth"] = new JsonArray() }) : new JsonArray(),
        };
        if (endpoint.Metadata.GetMetadata<ScopeRequirement>()?.Scope is { } scope)
        {
            json["x-crownest-required-scope"] = scope;
        }

        if (endpoint.Metadata.GetOrderedMetadata<AdditionalScope>() is { Count: > 0 } further)
        {
            json["x-crownest-additional-scopes"] = new JsonArray([.. further.Select(f => (JsonNode)f.Scope)]);
        }

        var parameters = Parameters(endpoint, operation, idempotency);
        if (parameters.Count > 0)
        {
            json["parameters"] = parameters;
        }

        if (operation.Body is { } body)
        {
            json["requestBody"] = new JsonObject
            {
                ["required"] = !operation.BodyOptional,
                ["content"] = Content("application/json", schemas.Reference(body)),
            };
        }

        if (operation.BodyContentType is { } bodyType)
        {
            json["requestBody"] = new JsonObject { ["required"] = true, ["content"] = Content(bodyType, Binary()) };
        }

        json["responses"] = Responses(operation, isV1, idempotency, schemas);
        return json;
    }

    private static JsonArray Parameters(RouteEndpoint endpoint, Operation operation, IdempotencyHonoured? idempotency)
    {
        var parameters = new JsonArray();
        foreach (var parameter in endpoint.RoutePattern.Parameters)
        {
            parameters.Add(Parameter(parameter.Name, "path", new JsonObject { ["type"] = "string" }, required: true));
        }

        foreach (var (place, own) in new[] { ("query", operation.Query), ("header", operation.Headers) })
        {
            foreach (var described in own)
            {
                var parameter = Parameter(described.Name, place, new JsonObject { ["type"] = described.Type }, described.Required);
                parameter["description"] = described.Description;
                parameters.Add(parameter);
            }
        }

        if (operation.Paged)
        {
            parameters.Add(Shared("limit"));
            parameters.Add(Shared("cursor"));
        }

        if (idempotency is not null)
        {
            parameters.Add(idempotency.Required
                ? Parameter(Idempotency.Header, "header", IdempotencyKeySchema(), required: true)
                : Shared(Idempotency.Header));
        }

        return parameters;

        static JsonObject Shared(string name) => new() { ["$ref"] = $"#/components/parameters/{name}" };
    }

    private static JsonObject Responses(Operation operation, bool isV1, IdempotencyHonoured? idempotency, SchemaCatalog schemas)
    {
        var schema = operation.Response is { } type ? schemas.Reference(type)
            : operation.ContentType.StartsWith("text/", StringComparison.Ordinal) ? new JsonObject { ["type"] = "string" } : Binary();
        var answer = new JsonObject { ["description"] = operation.Summary + "." };
        if (operation.Status != StatusCodes.Status204NoContent)
        {
            var content = Content(operation.ContentType, schema);
            if (operation.OtherContentType is { } other)
            {
                content[other] = new JsonObject { ["schema"] = new JsonObject { ["type"] = "string" } };
            }

            answer["content"] = content;
        }

        var responses = new JsonObject { [$"{operation.Status}"] = answer };
        IEnumerable<string> codes = isV1 ? [.. CodesOfEveryV1Operation, .. operation.Errors] : operation.Errors;
        if (idempotency is not null)
        {
            codes = [.. codes, ErrorCodes.IdempotencyKeyReused, ErrorCodes.IdempotencyRequestInProgress];
            codes = idempotency.Required ? [.. codes, ErrorCodes.MissingIdempotencyKey] : codes;
        }

        foreach (var status in codes.Distinct().GroupBy(ErrorStatus.Of).OrderBy(g => g.Key))
        {
            responses[$"{status.Key}"] = new JsonObject
            {
                ["description"] = ErrorDescription + string.Join(", ", status.Select(code => $"`{code}`")) + ".",
                ["content"] = Content("application/json", schemas.Reference(typeof(ErrorEnvelope))),
            };
        }

        return responses;
    }

    private static JsonObject SharedParameters() => new()
    {
        ["cursor"] = Parameter("cursor", "query", new JsonObject { ["type"] = "string" }),
        ["limit"] = Parameter("limit", "query", new JsonObject
        {
            ["type"] = "integer",
            ["minimum"] = 1,
            ["maximum"] = Limits.MaxPageSize,
            ["default"] = Limits.DefaultPageSize,
        }),
        [Idempotency.Header] = Parameter(Idempotency.Header, "header", IdempotencyKeySchema()),
    };

    private static JsonObject IdempotencyKeySchema() =>
        new() { ["type"] = "string", ["minLength"] = 1, ["maxLength"] = Limits.MaxIdempotencyKeyLength };

    private static JsonObject Parameter(string name, string place, JsonObject schema, bool required = false)
    {
        var parameter = new JsonObject { ["name"] = name, ["in"] = place, ["schema"] = schema };
        if (required)
        {
            parameter["required"] = true;
        }

        return parameter;
    }

    private static JsonObject Binary() => new() { ["type"] = "string", ["format"] = "binary" };

    private static JsonObject Content(string type, JsonObject schema) => new() { [type] = new JsonObject { ["schema"] = schema } };

    private static string PathOf(RouteEndpoint endpoint) => "/" + (endpoint.RoutePattern.RawText ?? "").TrimStart('/');
}
