using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace CrowNest.Agent.Files;

/// <summary>A listing as JSON, a block at a time: the largest one fits a small agent too.</summary>
internal static class FileListJson
{
    private const int BlockSize = 64 * 1024;

    internal static async Task AnswerAsync(HttpContext http, DirectoryListing listing, string directory)
    {
        http.Response.ContentType = "application/json";
        byte[] prefix = Encoding.UTF8.GetBytes(directory + "/");
        var block = new ArrayBufferWriter<byte>(BlockSize + 2 * FileCalls.MaxPath);
        // Paths are written as they are: nothing here is ever part of a page.
        var options = new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        await using var json = new Utf8JsonWriter(block, options);
        json.WriteStartObject();
        json.WriteStartArray("entries"u8);
        for (int i = 0; i < listing.Count;)
        {
            i = WriteBlock(json, block, listing, prefix, i);
            await FlushAsync();
        }
        json.WriteEndArray();
        json.WriteBoolean("truncated"u8, listing.Truncated);
        json.WriteEndObject();
        await FlushAsync();

        async Task FlushAsync()
        {
            await json.FlushAsync(http.RequestAborted);
            await http.Response.Body.WriteAsync(block.WrittenMemory, http.RequestAborted);
            block.ResetWrittenCount();
        }
    }

    private static int WriteBlock(Utf8JsonWriter json, ArrayBufferWriter<byte> block, DirectoryListing listing, byte[] prefix, int from)
    {
        byte[] path = ArrayPool<byte>.Shared.Rent(prefix.Length + DirectoryListing.MaxDepth * (FileCalls.MaxName + 1));
        prefix.CopyTo(path, 0);
        int i = from;
        for (; i < listing.Count && block.WrittenCount + json.BytesPending < BlockSize; i++)
        {
            var entry = listing[i];
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
        return i;
    }

    private static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> member, ReadOnlySpan<byte> text)
    {
        if (Utf8.IsValid(text)) json.WriteString(member, text);
        else json.WriteString(member, Encoding.UTF8.GetString(text));
    }
}
