using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Api.Templates;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Sandboxes;

/// <summary>Sandboxes (docs/reference/api.md 4).</summary>
internal static class SandboxEndpoints
{
    private const string Tag = "Sandboxes";

    public static IServiceCollection AddSandboxes(this IServiceCollection services)
    {
        services.AddOptions<SandboxOptions>().BindConfiguration(SandboxOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<TemplateCatalog>();
        services.AddSingleton<TemplateChoice>();
        services.AddSingleton<SandboxDelivery>();
        services.AddSingleton<SandboxCreation>();
        services.AddSingleton<SandboxKill>();
        services.AddSingleton<SandboxExtension>();
        services.AddSingleton<SandboxReadiness>();
        return services;
    }

    public static void MapSandboxes(this RouteGroupBuilder v1)
    {
        v1.MapPost("/sandboxes", CreateAsync).RequireScope(Scopes.SandboxCreate).HonoursIdempotencyKey()
            .WithOperation("createSandbox", Tag, "Create a sandbox", o => o with
            {
                Body = typeof(CreateSandboxRequest),
                BodyOptional = true,
                Response = typeof(SandboxResponse),
                Status = StatusCodes.Status201Created,
                Errors =
                [
                    ErrorCodes.SandboxTtlExceeded, ErrorCodes.UnsupportedRuntimeOption, ErrorCodes.FeatureNotEnabled,
                    ErrorCodes.QuotaExceeded, ErrorCodes.RuntimeError,
                ],
            });
        v1.MapGet("/sandboxes", ListAsync).RequireScope(Scopes.SandboxRead)
            .WithOperation("listSandboxes", Tag, "List sandboxes, newest first", o => o with
            {
                Response = typeof(Page<Sandbox>),
                Paged = true,
                Query =
                [
                    new("include", "string", "`historical`: destroyed and failed ones too"),
                    new("status", "string", "Only those with this status"),
                    new("projectId", "string", "Only those of this project"),
                    new("metadata.<key>", "string", "Only those with this metadata; several combine with AND"),
                ],
            });
        v1.MapGet("/sandboxes/{sandboxId}", GetAsync).RequireScope(Scopes.SandboxRead)
            .WithOperation("getSandbox", Tag, "Get a sandbox", o => o with { Response = typeof(SandboxResponse) });
        v1.MapDelete("/sandboxes/{sandboxId}", KillAsync).RequireScope(Scopes.SandboxKill).HonoursIdempotencyKey()
            .WithOperation("killSandbox", Tag, "Destroy a sandbox and wait for its cleanup",
                o => o with { Response = typeof(SandboxResponse), Errors = [ErrorCodes.RuntimeError] });
        v1.MapPost("/sandboxes/{sandboxId}/extend", ExtendAsync).RequireScope(Scopes.SandboxExtend).HonoursIdempotencyKey()
            .WithOperation("extendSandbox", Tag, "Reset a sandbox's lifetime", o => o with
            {
                Body = typeof(ExtendSandboxRequest),
                Response = typeof(SandboxResponse),
                Errors = [ErrorCodes.SandboxTtlExceeded, ErrorCodes.SandboxDestroyed, ErrorCodes.FeatureNotEnabled],
            });
    }

    private static async Task<IResult> CreateAsync(
        Caller caller, HttpContext context, SandboxCreation creation, CancellationToken cancellationToken)
    {
        var sandbox = context.GetIdempotentResourceId() is { } earlier
            ? await creation.ResumeAsync(earlier)
            : await creation.CreateAsync(
                caller, await RequestBody.ReadAsync<CreateSandboxRequest>(context, cancellationToken, optional: true),
                context.GetIdempotencyId(), cancellationToken);
        return TypedResults.Json(new SandboxResponse(sandbox), CrowNestJson.Options, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<Page<Sandbox>> ListAsync(
        Caller caller, HttpRequest request, SandboxStore store, ProjectAccess projects, CancellationToken cancellationToken)
    {
        var page = Paging.Read(request);
        var filter = new SandboxFilter
        {
            IncludeHistorical = Paging.Single(request, "include") switch
            {
                null => false,
                "historical" => true,
                _ => throw ApiException.InvalidField("include", "include must be \"historical\"."),
            },
            Status = Paging.Single(request, "status") is not { } status || SandboxStatus.All.Contains(status)
                ? Paging.Single(request, "status")
                : throw ApiException.InvalidField("status", $"status must be one of {string.Join(", ", SandboxStatus.All)}."),
            ProjectId = Paging.Single(request, "projectId") is { } projectId
                ? await projects.ResolveAsync(caller, projectId, cancellationToken)
                : null,
            Metadata = Metadata.ReadFilters(request),
            After = page.After,
            Limit = page.Fetch,
        };
        var rows = await store.ListAsync(caller.Ownership, filter, cancellationToken);
        return Paging.Build(page, rows, r => new ListPosition(r.CreatedAt, r.Id), r => r.ToSandbox());
    }

    private static async Task<SandboxResponse> GetAsync(
        string sandboxId, Caller caller, SandboxStore store, CancellationToken cancellationToken) =>
        new((await store.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox")).ToSandbox());

    private static async Task<SandboxResponse> KillAsync(
        string sandboxId, Caller caller, SandboxKill kill, CancellationToken cancellationToken) =>
        new(await kill.KillAsync(caller.Ownership, sandboxId, cancellationToken));

    private static async Task<SandboxResponse> ExtendAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxExtension extension, CancellationToken cancellationToken) =>
        new(await extension.ExtendAsync(
            caller, sandboxId, () => RequestBody.ReadAsync<ExtendSandboxRequest>(context, cancellationToken), cancellationToken));
}
