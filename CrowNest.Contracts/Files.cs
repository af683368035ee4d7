namespace CrowNest.Contracts;

/// <summary>A file or directory of a workspace (docs/reference/api.md 6).</summary>
/// <param name="Path">Absolute.</param>
/// <param name="Type">One of <see cref="FileType"/>.</param>
/// <param name="SizeBytes">0 for a directory.</param>
public sealed record FileStat(string Path, string Type, long SizeBytes, DateTimeOffset? ModifiedAt = null);

/// <summary>An entry of a listing: a <see cref="FileStat"/> with its base name.</summary>
public sealed record FileEntry(string Name, string Path, string Type, long SizeBytes, DateTimeOffset? ModifiedAt = null);

public static class FileType
{
    public const string File = "file";
    public const string Directory = "directory";
}

/// <summary>How a file's content stands in JSON.</summary>
public static class FileEncoding
{
    public const string Utf8 = "utf8";
    public const string Base64 = "base64";
}

/// <param name="Truncated">Present, and true, when there are more entries than one answer holds. An addition of this system.</param>
public sealed record FileList(IReadOnlyList<FileEntry> Data, bool? Truncated = null);

public sealed record FileResponse(FileStat File);

/// <summary>Answer of <c>GET …/files/read</c>.</summary>
/// <param name="Encoding">One of <see cref="FileEncoding"/>.</param>
/// <param name="SizeBytes">Bytes of the decoded content.</param>
public sealed record FileContent(string Content, string Encoding, long SizeBytes, string Path);

/// <summary>Body of <c>PUT …/files</c>.</summary>
public sealed record WriteFileRequest
{
    public string? Path { get; init; }
    public string? Content { get; init; }

    /// <summary>One of <see cref="FileEncoding"/>; default <c>utf8</c>.</summary>
    public string? Encoding { get; init; }

    /// <summary>Default true.</summary>
    public bool? Overwrite { get; init; }

    /// <summary>Default false.</summary>
    public bool? CreateParents { get; init; }
}

public sealed record DeletedFile(bool Deleted);

/// <param name="Parents">Default false; true also accepts a directory that exists.</param>
public sealed record MakeDirectoryRequest(string? Path, bool? Parents = null);

/// <param name="Overwrite">Default false.</param>
public sealed record MoveFileRequest(string? From, string? To, bool? Overwrite = null);

public sealed record CreateFileDownloadUrlRequest(string? Path);

/// <summary>Body of <c>POST …/files/upload-url</c>; an addition of this system.</summary>
public sealed record CreateFileUploadUrlRequest
{
    public string? Path { get; init; }

    /// <summary>The link then takes exactly so many bytes.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>64 hex digits; the link then takes only content with this digest.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Default true.</summary>
    public bool? Overwrite { get; init; }

    /// <summary>Default false.</summary>
    public bool? CreateParents { get; init; }

    /// <summary>1 to 604800; default 15 minutes.</summary>
    public long? ExpiresInSeconds { get; init; }
}

/// <summary>A signed link that takes a file's bytes as the body of one request.</summary>
/// <param name="Headers">What the request should send.</param>
public sealed record UploadUrl(
    string Url, string Method, IReadOnlyDictionary<string, string> Headers, long MaxSizeBytes, DateTimeOffset ExpiresAt);

/// <summary>Answer of an upload.</summary>
/// <param name="Sha256">Lower-case hex, of the bytes written.</param>
public sealed record UploadedFile(FileStat File, string Sha256);

/// <summary>Answer of <c>PUT …/files/archive</c>.</summary>
public sealed record ExtractedArchiveResponse(ExtractedArchive Archive);

/// <param name="SizeBytes">Bytes of all files extracted.</param>
public sealed record ExtractedArchive(long Entries, long SizeBytes);

/// <summary>Body of <c>POST …/files/search</c>; an addition of this system. <c>name</c>, <c>content</c> or both are needed.</summary>
public sealed record SearchFilesRequest
{
    /// <summary>Where to begin; default <c>/workspace</c>.</summary>
    public string? Path { get; init; }

    /// <summary>A glob over base names, for example <c>*.cs</c>.</summary>
    public string? Name { get; init; }

    /// <summary>Text, or with <see cref="Regex"/> an expression, that a line contains.</summary>
    public string? Content { get; init; }

    /// <summary>Default false.</summary>
    public bool? Regex { get; init; }

    /// <summary>Default false.</summary>
    public bool? CaseSensitive { get; init; }

    /// <summary>1 to 1000; default 100.</summary>
    public int? MaxResults { get; init; }

    /// <summary>Directories below the first, 1 to 100; default 32.</summary>
    public int? MaxDepth { get; init; }

    /// <summary>1 to 30000; default 5000.</summary>
    public int? TimeoutMs { get; init; }
}

/// <summary>An entry that was found; with <c>content</c>, one for each line.</summary>
/// <param name="Line">From 1, like <paramref name="Column"/>.</param>
/// <param name="Preview">The line, cut to a sane length.</param>
public sealed record FileMatch(
    string Name, string Path, string Type, long SizeBytes, DateTimeOffset? ModifiedAt = null, long? Line = null, long? Column = null,
    string? Preview = null);

/// <param name="Truncated">Present, and true, when the search ended before it had seen everything.</param>
/// <param name="StoppedBy"><c>results</c> or <c>time</c>; present when truncated.</param>
public sealed record FileMatches(IReadOnlyList<FileMatch> Data, bool? Truncated = null, string? StoppedBy = null);

/// <summary>Body of <c>POST …/files/from-artifact</c> (docs/reference/stateset.md 3.2).</summary>
public sealed record ImportArtifactRequest
{
    public string? ArtifactId { get; init; }

    /// <summary>Destination.</summary>
    public string? Path { get; init; }

    /// <summary>Default true.</summary>
    public bool? CreateParents { get; init; }

    /// <summary>Default true.</summary>
    public bool? Overwrite { get; init; }
}

public sealed record ImportedArtifact(FileStat File, string ArtifactId, string Sha256);
