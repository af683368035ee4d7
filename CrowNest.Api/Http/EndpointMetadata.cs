using CrowNest.Api.Auth.Links;
using Microsoft.AspNetCore.Cors;

namespace CrowNest.Api.Http;

/// <summary>The endpoint is one of <c>/v1</c>: it wants a caller.</summary>
internal sealed record CallerRequired
{
    public static readonly CallerRequired Instance = new();
}

/// <summary>Scope the caller needs; null: any valid credential of the organization.</summary>
internal sealed record ScopeRequirement(string? Scope);

/// <summary>A further scope that the caller needs (docs/reference/api.md 2.4).</summary>
internal sealed record AdditionalScope(string Scope);

/// <summary>How <c>/openapi.json</c> describes the endpoint (docs/reference/api.md 15).</summary>
internal sealed record Operation(string Id, string Tag, string Summary)
{
    /// <summary>Type of the JSON body, if there is one.</summary>
    public Type? Body { get; init; }

    /// <summary>Media type of a body that is not JSON.</summary>
    public string? BodyContentType { get; init; }

    /// <summary>Whether the body may be left out (H10).</summary>
    public bool BodyOptional { get; init; }

    /// <summary>Type of the successful answer's JSON body; null when <see cref="ContentType"/> is not JSON.</summary>
    public Type? Response { get; init; }

    public int Status { get; init; } = StatusCodes.Status200OK;

    public string ContentType { get; init; } = "application/json";

    /// <summary>Query parameters of this operation alone.</summary>
    public QueryParameter[] Query { get; init; } = [];

    /// <summary>Media type in which the answer can be had besides <see cref="ContentType"/>.</summary>
    public string? OtherContentType { get; init; }

    /// <summary>Headers of this operation alone.</summary>
    public QueryParameter[] Headers { get; init; } = [];

    /// <summary>It has <c>limit</c> and <c>cursor</c>.</summary>
    public bool Paged { get; init; }

    /// <summary>
    /// Whether <c>/openapi.json</c> shows it; routes for people rather than programs are left out (docs/reference/api.md 15).
    /// </summary>
    public bool Published { get; init; } = true;

    /// <summary>Codes besides those that every <c>/v1</c> operation has.</summary>
    public string[] Errors { get; init; } = [];
}

/// <param name="Type">JSON schema type: <c>string</c>, <c>integer</c>, <c>boolean</c>.</param>
internal sealed record QueryParameter(string Name, string Type, string Description, bool Required = false);

/// <summary>The route honours <c>Idempotency-Key</c> (docs/reference/api.md 3, column I).</summary>
/// <param name="BodyHeaders">Headers that stand for the body where a request is compared with an earlier one; null: the body itself.</param>
internal sealed record IdempotencyHonoured(bool Required, string[]? BodyHeaders = null);

/// <summary>The request takes no token of the rate limit (H20, OP-5).</summary>
internal sealed record RateLimitExempt;

/// <summary>A signature in the query may stand in for the bearer (docs/reference/api.md 2.15).</summary>
internal sealed record SignedUrlAllowed;

/// <summary>The headers of a human session may stand in for a credential (<see cref="Auth.HumanSessions"/>).</summary>
internal sealed record HumanSessionHeadersAllowed;

internal static class EndpointMetadataExtensions
{
    /// <summary>The group of all resource routes: authenticated, rate limited, scoped.</summary>
    public static RouteGroupBuilder MapV1(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGroup("/v1").WithMetadata(CallerRequired.Instance);

    public static TBuilder RequireScope<TBuilder>(this TBuilder builder, string scope) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new ScopeRequirement(scope));

    /// <summary>Besides that of <see cref="RequireScope"/>.</summary>
    public static TBuilder AlsoRequireScope<TBuilder>(this TBuilder builder, string scope) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new AdditionalScope(scope));

    /// <summary>Any valid credential of the organization will do.</summary>
    public static TBuilder AnyScope<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new ScopeRequirement(null));

    /// <param name="id">operationId of the endpoint index (docs/reference/api.md 3).</param>
    /// <param name="describe">Fills in what differs from a GET without parameters, for example <c>o => o with { Body = typeof(X) }</c>.</param>
    public static TBuilder WithOperation<TBuilder>(
        this TBuilder builder, string id, string tag, string summary, Func<Operation, Operation>? describe = null)
        where TBuilder : IEndpointConventionBuilder
    {
        var operation = new Operation(id, tag, summary);
        return builder.WithMetadata(describe is null ? operation : describe(operation));
    }

    /// <summary>Within the request, <see cref="IdempotencyExtensions"/> gives the record's id and an earlier attempt's resource.</summary>
    /// <param name="required">Missing header: 400 <c>missing_idempotency_key</c>.</param>
    public static TBuilder HonoursIdempotencyKey<TBuilder>(this TBuilder builder, bool required = false)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new IdempotencyHonoured(required));

    /// <summary>For a body that is too large to be compared: the headers that tell its digest and size stand for it.</summary>
    public static TBuilder HonoursIdempotencyKeyByHeaders<TBuilder>(this TBuilder builder, params string[] bodyHeaders)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new IdempotencyHonoured(Required: false, bodyHeaders));

    public static TBuilder ExemptFromRateLimit<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new RateLimitExempt());

    /// <summary>A link may be used from anywhere, so also by pages of other origins.</summary>
    public static TBuilder AllowSignedUrl<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new SignedUrlAllowed(), new CorsPolicyMetadata(LinkCors.Policy));

    public static TBuilder AllowHumanSessionHeaders<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new HumanSessionHeadersAllowed());
}
