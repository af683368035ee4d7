using CrowNest.Agent.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CrowNest.Agent.Files;

/// <summary><c>/files/content</c> (docs/protocols.md 2.4): any size, in flat memory; no thread waits for a slow peer.</summary>
internal sealed class FileContent(Workspace workspace, FileThreads threads)
{
    internal async Task ReadAsync(HttpContext http, FilePath path, long maxBytes)
    {
        var (file, node) = await threads.RunAsync(() => OpenForReading(path));
        using (file)
        {
            if (node.Size > maxBytes)
            {
                throw new AgentException(
                    AgentError.FileTooLarge($"{path.Absolute} has {node.Size} bytes; at most {maxBytes} are asked for"));
            }
            http.Response.ContentType = "application/octet-stream";
            http.Response.Headers["X-File-Size"] = Text(node.Size);
            http.Response.Headers["X-File-Path"] = Uri.EscapeDataString(path.Absolute);
            http.Response.Headers["X-File-Modified"] = Text(node.ModifiedAt);
            await SendAsync(http, file, node.Size);
        }
    }

    internal async Task<FileStat> WriteAsync(
        HttpContext http, FilePath path, bool overwrite, bool createParents, long maxBytes, string? sha256)
    {
        // Kestrel's own limit is for JSON.
        http.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = null;
        if (http.Request.ContentLength > maxBytes) throw TooLarge(path, maxBytes);
        var file = await threads.RunAsync(
            () => PendingFile.Open(workspace, path, overwrite, createParents, (threads.Uid, threads.Gid)));
        try
        {
            await ReceiveAsync(http, file, path, maxBytes);
            return await threads.RunAsync(() => file.Publish(sha256));
        }
        finally
        {
            await threads.RunAsync(file.Dispose);
        }
    }

    private (Descriptor File, FileNode Node) OpenForReading(FilePath path)
    {
        using var found = workspace.Open(path, out var node);
        if (node.Kind == NodeKind.Directory) throw new AgentException(AgentError.PathIsDirectory(path.Absolute));
        // Looked at before anything is opened: a FIFO's writer would notice.
        if (node.Kind != NodeKind.File) throw FileErrors.Special(path.Absolute);
        int fd = FileCalls.Reopen(found.Fd, FileCalls.O_RDONLY);
        return fd >= 0 ? (new Descriptor(fd), node) : throw FileErrors.Of(fd, path.Absolute);
    }

    private async Task SendAsync(HttpContext http, Descriptor file, long size)
    {
        byte[] buffer = FileBuffer.Rent();
        try
        {
            long offset = 0;
            while (offset < size)
            {
                int wanted = (int)Math.Min(buffer.Length, size - offset);
                int n = await threads.RunAsync(() => FileCalls.Read(file.Fd, buffer.AsSpan(0, wanted), offset));
                if (n < 0) throw FileErrors.Of(n, "content");
                if (n == 0) break;
                offset += n;
                await http.Response.Body.WriteAsync(buffer.AsMemory(0, n), http.RequestAborted);
            }
        }
        finally
        {
            FileBuffer.Return(buffer);
        }
    }

    /// <summary>Takes the next block off the socket while the last one is hashed and written.</summary>
    private async Task ReceiveAsync(HttpContext http, PendingFile file, FilePath path, long maxBytes)
    {
        byte[] reading = FileBuffer.Rent(), writing = FileBuffer.Rent();
        var written = Task.CompletedTask;
        try
        {
            long total = 0;
            while (true)
            {
                int n = await http.Request.Body.ReadAtLeastAsync(reading, reading.Length, throwOnEndOfStream: false, http.RequestAborted);
                await written;
                if (n == 0) return;
                total += n;
                if (total > maxBytes) throw TooLarge(path, maxBytes);
                (reading, writing) = (writing, reading);
                byte[] block = writing;
                written = threads.RunAsync(() => file.Append(block.AsSpan(0, n)));
                if (n < block.Length)
                {
                    await written;
                    return;
                }
            }
        }
        finally
        {
            // A block that is still being written must not be lent to somebody else.
            await written.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            FileBuffer.Return(reading);
            FileBuffer.Return(writing);
        }
    }

    private static AgentException TooLarge(FilePath path, long maxBytes) =>
        new(AgentError.FileTooLarge($"{path.Absolute} may have at most {maxBytes} bytes"));

    private static string Text(long number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
