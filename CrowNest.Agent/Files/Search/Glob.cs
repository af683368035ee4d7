namespace CrowNest.Agent.Files.Search;

/// <summary>
/// A pattern for base names: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>[!a-z]</c>; a backslash takes the next character as it is. Matching
/// takes at most pattern times name steps, whatever the pattern.
/// </summary>
internal sealed class Glob(string pattern, bool caseSensitive)
{
    private readonly string _pattern = caseSensitive ? pattern : pattern.ToUpperInvariant();

    internal bool Matches(string name)
    {
        if (!caseSensitive) name = name.ToUpperInvariant();
        int p = 0, n = 0, star = -1, resume = 0;
        while (n < name.Length)
        {
            if (p < _pattern.Length && _pattern[p] == '*')
            {
                star = p++;
                resume = n;
            }
            else if (p < _pattern.Length && MatchesOne(name[n], p, out int next))
            {
                p = next;
                n++;
            }
            else if (star >= 0)
            {
                // Only the last star needs another try: what it leaves to earlier ones they could not use better.
                p = star + 1;
                n = ++resume;
            }
            else
            {
                return false;
            }
        }
        while (p < _pattern.Length && _pattern[p] == '*') p++;
        return p == _pattern.Length;
    }

    private bool MatchesOne(char c, int at, out int next)
    {
        next = at + 1;
        switch (_pattern[at])
        {
            case '?':
                return true;
            case '[' when ClassEnd(at) is var end and > 0:
                next = end + 1;
                return IsInClass(c, at + 1, end);
            case '\\' when next < _pattern.Length:
                return _pattern[next++] == c;
            default:
                return _pattern[at] == c;
        }
    }

    /// <summary>Index of the closing bracket; 0: there is none, the bracket means itself. One right at the start is a member.</summary>
    private int ClassEnd(int open)
    {
        int first = open + 1;
        if (first < _pattern.Length && _pattern[first] is '!' or '^') first++;
        int end = first + 1 < _pattern.Length ? _pattern.IndexOf(']', first + 1) : -1;
        return Math.Max(end, 0);
    }

    private bool IsInClass(char c, int start, int end)
    {
        bool negated = _pattern[start] is '!' or '^', found = false;
        if (negated) start++;
        for (int i = start; i < end; i++)
        {
            if (i + 2 < end && _pattern[i + 1] == '-')
            {
                found |= c >= _pattern[i] && c <= _pattern[i + 2];
                i += 2;
            }
            else
            {
                found |= c == _pattern[i];
            }
        }
        return found != negated;
    }
}
