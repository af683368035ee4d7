using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files.Search;

/// <summary><c>POST /files/search</c> (docs/protocols.md 2.4).</summary>
internal sealed class FileSearches(Workspace workspace, FileThreads threads, TimeProvider time)
{
    private const int DefaultResults = 200, MostResults = 10_000;
    private const int DefaultDepth = 64, MostDepth = 256;
    private const int DefaultTimeoutMs = 5_000, MostTimeoutMs = 60_000;
    private const int MaxName = 1024;

    /// <exception cref="AgentException">invalid_request, and the errors of the path</exception>
    internal async Task<SearchAnswer> RunAsync(FilePath path, SearchRequest request, CancellationToken cancellationToken)
    {
        if (request.Name is null && request.Content is null)
            throw new AgentException(AgentError.InvalidRequest("name or content must say what to look for"));
        if (request.Name is { Length: 0 or > MaxName })
            throw new AgentException(AgentError.InvalidRequest($"name must have 1 to {MaxName} characters"));
        int results = Within(request.MaxResults, DefaultResults, MostResults, "maxResults");
        int depth = Within(request.MaxDepth, DefaultDepth, MostDepth, "maxDepth");
        var limit = TimeSpan.FromMilliseconds(Within(request.TimeoutMs, DefaultTimeoutMs, MostTimeoutMs, "timeoutMs"));
        bool caseSensitive = request.CaseSensitive ?? true;
        var glob = request.Name is null ? null : new Glob(request.Name, caseSensitive);
        // Before a thread is asked: making an automaton is work of this request, not of the files.
        var pattern = request.Content is null ? null : new LinePattern(request.Content, request.Regex ?? false, caseSensitive, limit);

        using var search = await threads.RunAsync(() => new FileSearch(workspace, path, depth, glob, pattern, results, limit, time));
        while (!await threads.RunAsync(search.Go)) cancellationToken.ThrowIfCancellationRequested();
        return search.Answer;
    }

    private static int Within(int? value, int fallback, int most, string name)
    {
        if (value is null) return fallback;
        return value >= 1 && value <= most
            ? value.Value
            : throw new AgentException(AgentError.InvalidRequest($"{name} must be from 1 to {most}"));
    }
}
