using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace CrowNest.Agent.Tests.Harness;

/// <summary>An answer of docs/protocols.md 2.4.</summary>
internal sealed record FileAnswer(int Status, byte[] Bytes, HttpResponseHeaders Headers)
{
    internal string Text => Encoding.UTF8.GetString(Bytes);

    internal JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Bytes);

    /// <summary>"200", or status and code of an error.</summary>
    internal string Outcome => Status < 400 ? $"{Status}" : $"{Status} {AgentClient.Code(Json)}";

    internal string Header(string name) => Headers.GetValues(name).Single();

    internal string[] Names => Json.GetProperty("entries").EnumerateArray().Select(e => e.GetProperty("name").GetString()!).ToArray();
}

internal static class FileRequests
{
    internal static Task<FileAnswer> ListAsync(this AgentClient client, string path, int depth = 1, int maxEntries = 1000) =>
        client.FilesAsync(HttpMethod.Get, "", [("path", path), ("depth", depth), ("maxEntries", maxEntries)]);

    internal static Task<FileAnswer> StatAsync(this AgentClient client, string path) =>
        client.FilesAsync(HttpMethod.Get, "/stat", [("path", path)]);

    internal static Task<FileAnswer> ReadFileAsync(this AgentClient client, string path, long? maxBytes = null) =>
        client.FilesAsync(HttpMethod.Get, "/content", maxBytes is null ? [("path", path)] : [("path", path), ("maxBytes", maxBytes)]);

    internal static Task<FileAnswer> WriteFileAsync(
        this AgentClient client, string path, object body, params (string Name, object Value)[] more) =>
        client.FilesAsync(HttpMethod.Put, "/content", [("path", path), .. more], body);

    internal static Task<FileAnswer> DeleteFileAsync(this AgentClient client, string path) =>
        client.FilesAsync(HttpMethod.Delete, "", [("path", path)]);

    internal static Task<FileAnswer> MakeDirectoryAsync(this AgentClient client, string path, bool parents = false) =>
        client.FilesAsync(HttpMethod.Post, "/mkdir", [], new { path, parents });

    internal static Task<FileAnswer> MoveAsync(this AgentClient client, string from, string to, bool overwrite = false) =>
        client.FilesAsync(HttpMethod.Post, "/move", [], new { from, to, overwrite });

    internal static Task<FileAnswer> PackAsync(this AgentClient client, string path) =>
        client.FilesAsync(HttpMethod.Get, "/archive", [("path", path)]);

    internal static Task<FileAnswer> ExtractAsync(
        this AgentClient client, string path, byte[] archive, params (string Name, object Value)[] more) =>
        client.FilesAsync(HttpMethod.Put, "/archive", [("path", path), .. more], archive);

    internal static Task<FileAnswer> SearchAsync(this AgentClient client, object request) =>
        client.FilesAsync(HttpMethod.Post, "/search", [], request);

    /// <summary>Runs a script as the sandbox's user in a new directory of the workspace and returns that directory's name.</summary>
    internal static async Task<string> PrepareAsync(this AgentClient client, string script)
    {
        var directory = AgentClient.NewId();
        var outcome = await client.RunAsync($"mkdir {directory} && cd {directory} && set -e\n{script}");
        Assert.True(outcome.ExitCode == 0, outcome.Err);
        return directory;
    }
}
