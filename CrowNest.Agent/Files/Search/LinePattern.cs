using System.Text.RegularExpressions;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files.Search;

/// <summary>What a line has to contain: a text, or an expression that is matched in time linear in the line, whatever it is.</summary>
internal sealed class LinePattern
{
    private const int MaxLength = 1024;

    private readonly string _text;
    private readonly StringComparison _comparison;
    private readonly Regex? _expression;

    /// <exception cref="AgentException">invalid_request</exception>
    internal LinePattern(string text, bool isExpression, bool caseSensitive, TimeSpan limit)
    {
        if (text.Length is 0 or > MaxLength)
            throw new AgentException(AgentError.InvalidRequest($"content must have 1 to {MaxLength} characters"));
        _text = text;
        _comparison = caseSensitive ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase;
        if (!isExpression) return;
        // Backtracking would let a line of a hundred characters keep this processor until the limit.
        var options = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;
        if (!caseSensitive) options |= RegexOptions.IgnoreCase;
        try
        {
            _expression = new Regex(text, options, limit);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new AgentException(AgentError.InvalidRequest(
                "content is not an expression that can be searched for (lookarounds, backreferences and atomic groups are not supported)"));
        }
    }

    /// <summary>Where the first match begins; -1 when there is none.</summary>
    /// <exception cref="RegexMatchTimeoutException">one line took the whole search's time</exception>
    internal int IndexIn(ReadOnlySpan<char> line)
    {
        if (_expression is null) return line.IndexOf(_text, _comparison);
        foreach (var match in _expression.EnumerateMatches(line)) return match.Index;
        return -1;
    }
}
