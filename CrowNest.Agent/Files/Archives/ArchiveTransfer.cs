using Microsoft.AspNetCore.Http.Features;

namespace CrowNest.Agent.Files.Archives;

/// <summary>
/// <c>/files/archive</c> (docs/protocols.md 2.4): a block is packed or unpacked on <see cref="FileThreads"/>, then the connection has
/// its turn. No thread waits for a peer.
/// </summary>
internal sealed class ArchiveTransfer(Workspace workspace, FileThreads threads)
{
    internal async Task CreateAsync(HttpContext http, FilePath path)
    {
        using var archive = await threads.RunAsync(() => new ArchiveCreation(workspace, path));
        http.Response.ContentType = "application/gzip";
        bool more = true;
        while (more)
        {
            // What goes wrong before the first block is an answer, later a broken connection.
            more = await threads.RunAsync(archive.PackBlock);
            if (!archive.Packed.IsEmpty) await http.Response.Body.WriteAsync(archive.Packed, http.RequestAborted);
        }
    }

    internal async Task<ArchiveExtracted> ExtractAsync(HttpContext http, FilePath path, ArchiveLimits limits)
    {
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = null;
        byte[] packed = FileBuffer.Rent(), unpacked = FileBuffer.Rent();
        ArchiveExtraction? extraction = null;
        using var gunzip = new Gunzip();
        try
        {
            extraction = await threads.RunAsync(() => new ArchiveExtraction(workspace, path));
            var tar = new TarReader(extraction, limits);
            int n;
            do
            {
                n = await http.Request.Body.ReadAtLeastAsync(packed, packed.Length, throwOnEndOfStream: false, http.RequestAborted);
                int length = n;
                await threads.RunAsync(() => gunzip.Feed(packed.AsSpan(0, length), unpacked, tar.Feed));
            }
            while (n == packed.Length);
            gunzip.Finish();
            tar.Finish();
            await threads.RunAsync(extraction.Finish);
            return new ArchiveExtracted(tar.Entries, tar.Bytes);
        }
        finally
        {
            if (extraction is not null) await threads.RunAsync(extraction.Dispose);
            FileBuffer.Return(packed);
            FileBuffer.Return(unpacked);
        }
    }
}
