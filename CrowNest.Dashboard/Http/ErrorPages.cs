using Microsoft.AspNetCore.Http.HttpResults;

namespace CrowNest.Dashboard.Http;

/// <summary>A page of ours for every answer that would have no body.</summary>
internal static class ErrorPages
{
    public static void UseErrorPages(this IApplicationBuilder app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandler = RenderAsync, CreateScopeForErrors = true });
        app.UseStatusCodePages(context => RenderAsync(context.HttpContext));
    }

    private static Task RenderAsync(HttpContext context)
    {
        var status = context.Response.StatusCode;
        return new RazorComponentResult<ErrorPage>(new { Status = status }) { StatusCode = status }.ExecuteAsync(context);
    }
}
