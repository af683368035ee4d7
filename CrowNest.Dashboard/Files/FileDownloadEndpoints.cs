using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Sessions;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Net.Http.Headers;

namespace CrowNest.Dashboard.Files;

/// <summary>
/// Bytes that go between the browser and a sandbox beside the circuit: uploads, pictures, folders as archives. All of them are passed
/// on as they come and never held whole.
/// </summary>
internal static class FileDownloadEndpoints
{
    /// <summary>What the page's script shows of an upload that was refused.</summary>
    private sealed record Refusal(string Code, string Title, string Message);

    public static void MapFiles(this IEndpointRouteBuilder endpoints)
    {
        // The API's ceiling is the one that counts.
        endpoints.MapPut("/sandboxes/{id}/upload", UploadAsync).WithMetadata(new DisableRequestSizeLimitAttribute());
        endpoints.MapGet("/sandboxes/{id}/image", ShowImageAsync);
        endpoints.MapGet("/sandboxes/{id}/archive", DownloadArchiveAsync);
    }

    private static async Task<IResult> UploadAsync(
        string id, string path, bool? overwrite, ApiSession session, HttpContext context, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, Ids.Sandbox))
            return Results.NotFound();
        try
        {
            // The announced size lets the API tell a whole upload from one that a browser gave up.
            var options = new UploadOptions { Overwrite = overwrite ?? false, SizeBytes = context.Request.ContentLength };
            await session.UploadingClientOf(context.User).Files.UploadAsync(id, path, context.Request.Body, options, cancellationToken);
            return Results.NoContent();
        }
        catch (CrowNestApiException exception)
        {
            return Results.Json(
                new Refusal(exception.Code, FileProblem.Title(exception.Code), exception.Message), statusCode: StatusOf(exception));
        }
    }

    private static async Task ShowImageAsync(
        string id, string path, ApiSession session, HttpContext context, CancellationToken cancellationToken)
    {
        var response = context.Response;
        if (!Ids.IsValid(id, Ids.Sandbox))
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        try
        {
            await using var download = await session.ClientOf(context.User).Files.OpenAsync(id, path, cancellationToken);
            var start = new byte[ImageType.SignatureBytes];
            var read = await download.Content.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellationToken);
            if (ImageType.Of(start.AsSpan(0, read)) is not { } type || download.Length is not { } length || length > FilePreview.ImageBytes)
            {
                response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
                return;
            }

            response.ContentType = type;
            response.ContentLength = length;
            await response.Body.WriteAsync(start.AsMemory(0, read), cancellationToken);
            await download.Content.CopyToAsync(response.Body, cancellationToken);
        }
        catch (CrowNestApiException exception)
        {
            response.StatusCode = StatusOf(exception);
        }
        catch (Exception exception) when (response.HasStarted && exception is IOException or HttpRequestException)
        {
            // Half a picture must not look like a whole one.
            context.Abort();
        }
    }

    private static async Task<IResult> DownloadArchiveAsync(
        string id, string path, ApiSession session, HttpContext context, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, Ids.Sandbox))
            return Results.NotFound();
        try
        {
            var archive = await session.ClientOf(context.User).Files.OpenArchiveAsync(id, path, cancellationToken);
            context.Response.RegisterForDisposeAsync(archive);
            var name = new ContentDispositionHeaderValue("attachment");
            name.SetHttpFileName($"{ShownPath.NameOf(path)}.tar.gz");
            context.Response.Headers.ContentDisposition = name.ToString();
            return Results.Stream(archive.Content, "application/gzip");
        }
        catch (CrowNestApiException exception)
        {
            return Results.Text(
                $"The folder cannot be downloaded: {exception.Message} ({exception.Code})\n", statusCode: StatusOf(exception));
        }
    }

    private static int StatusOf(CrowNestApiException exception) =>
        exception.Status is { } status && exception.IsApiAnswer ? (int)status : StatusCodes.Status503ServiceUnavailable;
}
