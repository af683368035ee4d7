using System.Text;
using CrowNest.Api.Http;
using CrowNest.Contracts;

namespace CrowNest.Api.Files;

/// <summary>What a search may ask for, and how the agent is asked (docs/protocols.md 2.4).</summary>
internal static class FileSearch
{
    private const int MaxPatternBytes = 1024;
    private const int MaxMatches = 1000;
    private const int MaxDepth = 100;
    private const int MaxTimeoutMs = 30_000;

    /// <summary>The agent's body.</summary>
    public sealed record Question(
        string Path, string? Name, string? Content, bool Regex, bool CaseSensitive, int MaxResults, int MaxDepth, int TimeoutMs);

    /// <summary>The agent's answer.</summary>
    public sealed record Found(IReadOnlyList<Match> Matches, bool Truncated, string? StoppedBy = null);

    public sealed record Match(
        string Path, string Type, long SizeBytes, long ModifiedAt, string Name, long? Line = null, long? Column = null,
        string? Preview = null);

    public static Question Check(SearchFilesRequest request)
    {
        if (request.Name is null && request.Content is null)
        {
            throw ApiException.InvalidField("name", "'name', 'content' or both are required.");
        }

        if (request is { Regex: true, Content: null })
        {
            throw ApiException.InvalidField("regex", "'regex' says how 'content' is meant, which is missing.");
        }

        return new Question(
            request.Path is null ? Limits.Workspace : FileRules.Path("path", request.Path),
            Pattern("name", request.Name),
            Pattern("content", request.Content),
            request.Regex ?? false,
            request.CaseSensitive ?? false,
            FileRules.Within("maxResults", request.MaxResults, 100, 1, MaxMatches),
            FileRules.Within("maxDepth", request.MaxDepth, 32, 1, MaxDepth),
            FileRules.Within("timeoutMs", request.TimeoutMs, 5000, 1, MaxTimeoutMs));
    }

    public static FileMatch ToMatch(Match match) => new(
        match.Name, match.Path, match.Type, match.SizeBytes, DateTimeOffset.FromUnixTimeMilliseconds(match.ModifiedAt), match.Line,
        match.Column, match.Preview);

    private static string? Pattern(string field, string? pattern) =>
        pattern is null || (pattern.Length > 0 && Encoding.UTF8.GetByteCount(pattern) <= MaxPatternBytes)
            ? pattern
            : throw ApiException.InvalidField(field, $"'{field}' must have 1 to {MaxPatternBytes} bytes.");
}
