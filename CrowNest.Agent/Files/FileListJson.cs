using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace CrowNest.Agent.Files;

/// <summary>A listing as JSON, a block at a time: the largest one fits a small agent too.</summary>
internal static class FileListJson
{
    /// <summary>About 64 KiB of JSON, and half a millisecond of looking.</summary>
    private const int BlockEntries = 512;
    private const int BlockSize = 64 * 1024;

    /// <summary>Sends a block while a thread of the files looks at the next one.</summary>
    internal static async Task AnswerAsync(HttpContext http, DirectoryListing listing, string directory, FileThreads threads)
    {
        http.Response.ContentType = "application/json";
        byte[] prefix = Encoding.UTF8.GetBytes(directory + "/");
        var block = new ArrayBufferWriter<byte>(BlockSize + 2 * FileCalls.MaxPath);
        // Paths are written as they are: nothing here is ever part of a page.
        var options = new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        await using var json = new Utf8JsonWriter(block, options);
        json.WriteStartObject();
        json.WriteStartArray("entries"u8);
        var looking = LookAsync(0);
        try
        {
            for (int i = 0; i < listing.Count; i += BlockEntries)
            {
                await looking;
                looking = LookAsync(i + BlockEntries);
                WriteBlock(json, listing, prefix, i, End(i));
                await FlushAsync();
            }
        }
        finally
        {
            // The listing is in its hands until then.
            await looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        json.WriteEndArray();
        json.WriteBoolean("truncated"u8, listing.Truncated);
        json.WriteEndObject();
        await FlushAsync();

        int End(int from) => Math.Min(from + BlockEntries, listing.Count);

        Task LookAsync(int from) => from < listing.Count ? threads.RunAsync(() => listing.Look(from, End(from))) : Task.CompletedTask;

        async Task FlushAsync()
        {
            await json.FlushAsync(http.RequestAborted);
            await http.Response.Body.WriteAsync(block.WrittenMemory, http.RequestAborted);
            block.ResetWrittenCount();
        }
    }

    private static void WriteBlock(Utf8JsonWriter json, DirectoryListing listing, byte[] prefix, int from, int to)
    {
        byte[] path = ArrayPool<byte>.Shared.Rent(prefix.Length + DirectoryListing.MaxDepth * (FileCalls.MaxName + 1));
        prefix.CopyTo(path, 0);
        for (int i = from; i < to; i++)
        {
            var entry = listing[i];
            if (!entry.Exists) continue;
            var relative = listing.PathOf(entry);
            relative.CopyTo(path.AsSpan(prefix.Length));
            json.WriteStartObject();
            WriteText(json, "name"u8, relative[entry.NameStart..]);
            WriteText(json, "path"u8, path.AsSpan(0, prefix.Length + relative.Length));
            json.WriteString("type"u8, entry.IsDirectory ? "directory"u8 : "file"u8);
            json.WriteNumber("sizeBytes"u8, entry.Size);
            json.WriteNumber("modifiedAt"u8, entry.ModifiedAt);
            json.WriteEndObject();
        }
        ArrayPool<byte>.Shared.Return(path);
    }

    private static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> member, ReadOnlySpan<byte> text)
    {
        if (Utf8.IsValid(text)) json.WriteString(member, text);
        else json.WriteString(member, Encoding.UTF8.GetString(text));
    }
}
