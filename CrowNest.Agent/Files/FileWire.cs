namespace CrowNest.Agent.Files;

// Bodies of docs/protocols.md 2.4. What a request leaves out is null here and refused or defaulted by its handler.

/// <summary>One file or directory; times are Unix milliseconds, the size of a directory is 0.</summary>
internal sealed record FileStat(string Path, string Type, long SizeBytes, long ModifiedAt, string? Sha256 = null)
{
    /// <summary>A link that leads nowhere inside, a FIFO, a socket and a device are files: the contract has no other word.</summary>
    internal static FileStat Of(string path, in FileNode node) => new(
        path, TypeOf(node), SizeOf(node), node.ModifiedAt);

    internal static string TypeOf(in FileNode node) => node.Kind == NodeKind.Directory ? "directory" : "file";

    internal static long SizeOf(in FileNode node) => node.Kind == NodeKind.Directory ? 0 : node.Size;
}

internal sealed record FileEntry(string Name, string Path, string Type, long SizeBytes, long ModifiedAt);

internal sealed record MakeDirectoryRequest(string? Path, bool? Parents);

internal sealed record MoveRequest(string? From, string? To, bool? Overwrite);

internal sealed record ArchiveExtracted(long Entries, long Bytes);

internal sealed record SearchRequest(
    string? Path, string? Name, string? Content, bool? Regex, bool? CaseSensitive, int? MaxResults, int? MaxDepth, int? TimeoutMs);

/// <summary>Where a search has found something. Line and column count from 1, columns in UTF-16 units; the preview is cut.</summary>
internal sealed record SearchMatch(
    string Name, string Path, string Type, long SizeBytes, long ModifiedAt, int? Line, int? Column, string? Preview);

internal sealed record SearchAnswer(IReadOnlyList<SearchMatch> Matches, bool Truncated, string? StoppedBy);
