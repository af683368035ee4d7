using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Database;
using CrowNest.Platform.Tenancy;
using Microsoft.EntityFrameworkCore;

namespace CrowNest.Api.Projects;

/// <summary>Projects (docs/reference/api.md 11).</summary>
internal static class ProjectEndpoints
{
    public static IServiceCollection AddProjects(this IServiceCollection services) => services.AddSingleton<ProjectAccess>();

    public static void MapProjects(this RouteGroupBuilder v1) =>
        v1.MapGet("/projects", ListAsync).AnyScope().WithOperation("listProjects", "Projects", "List the projects the credential may use",
            o => o with { Response = typeof(Page<Project>), Paged = true });

    private static async Task<Page<Project>> ListAsync(
        Caller caller, HttpRequest request, IDbContextFactory<CrowNestDb> databases, CancellationToken cancellationToken)
    {
        var page = Paging.Read(request);
        await using var database = await databases.CreateDbContextAsync(cancellationToken);
        var projects = database.Projects.AsNoTracking().Where(p => p.OrgId == caller.OrgId);
        if (caller.ProjectIds is { } allowed)
        {
            projects = projects.Where(p => allowed.Contains(p.Id));
        }

        if (page.After is { } after)
        {
            projects = projects.Where(p =>
                EF.Functions.LessThan(ValueTuple.Create(p.CreatedAt, p.Id), ValueTuple.Create(after.CreatedAt, after.Id)));
        }

        var rows = await projects.OrderByDescending(p => p.CreatedAt).ThenByDescending(p => p.Id).Take(page.Fetch)
            .ToListAsync(cancellationToken);
        return Paging.Build(page, rows, p => new ListPosition(p.CreatedAt, p.Id), p => new Project(p.Id, p.OrgId, p.Name, p.CreatedAt));
    }
}
