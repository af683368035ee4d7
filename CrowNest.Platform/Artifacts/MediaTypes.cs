using Microsoft.AspNetCore.StaticFiles;

namespace CrowNest.Platform.Artifacts;

/// <summary>Media types by file name (docs/reference/stateset.md 3.1); what a file holds is never looked at.</summary>
public static class MediaTypes
{
    /// <summary>Of a file whose name says nothing.</summary>
    public const string Unknown = "application/octet-stream";

    private static readonly FileExtensionContentTypeProvider ByExtension = Create();

    /// <param name="name">A file name or a path.</param>
    public static string Of(string name) => ByExtension.TryGetContentType(name, out var type) ? type : Unknown;

    /// <summary>The framework's table, with what developers keep in their folders and it does not know, or takes for something else.</summary>
    private static FileExtensionContentTypeProvider Create()
    {
        var types = new FileExtensionContentTypeProvider();
        foreach (var (type, extensions) in new (string, string[])[]
        {
            ("application/gzip", [".gz", ".tgz"]),
            ("application/json", [".ipynb", ".json"]),
            ("application/toml", [".toml"]),
            ("application/vnd.apache.parquet", [".parquet"]),
            ("application/x-ndjson", [".jsonl", ".ndjson"]),
            ("application/yaml", [".yaml", ".yml"]),
            ("application/zip", [".zip", ".whl"]),
            ("application/zstd", [".zst"]),
            ("text/javascript", [".cjs", ".js", ".mjs"]),
            ("text/markdown", [".md", ".markdown"]),
            ("text/plain", [".c", ".cfg", ".conf", ".cs", ".diff", ".go", ".h", ".ini", ".java", ".log", ".patch", ".py", ".rs", ".sh", ".sql",
                ".ts", ".tsx", ".txt"]),
        })
        {
            foreach (var extension in extensions)
            {
                types.Mappings[extension] = type;
            }
        }

        return types;
    }
}
