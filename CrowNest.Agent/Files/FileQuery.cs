using System.Globalization;
using System.Text;
using System.Text.Unicode;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files;

/// <summary>
/// A query as docs/protocols.md 2.4 has it: percent-encoded UTF-8. Not the framework's, which takes <c>+</c> for a space and turns
/// bytes that are not UTF-8 into names that look like others.
/// </summary>
internal sealed class FileQuery
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <exception cref="AgentException">invalid_request</exception>
    internal FileQuery(HttpRequest request)
    {
        foreach (var pair in (request.QueryString.Value ?? "").TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=');
            var name = Decode(equals < 0 ? pair : pair[..equals]);
            if (!_values.TryAdd(name, equals < 0 ? "" : Decode(pair[(equals + 1)..])))
                throw new AgentException(AgentError.InvalidRequest($"{name} is given twice"));
        }
    }

    internal string? Text(string name) => _values.GetValueOrDefault(name);

    /// <exception cref="AgentException">invalid_request</exception>
    internal bool Flag(string name, bool fallback) => Text(name) switch
    {
        null => fallback,
        "true" => true,
        "false" => false,
        _ => throw new AgentException(AgentError.InvalidRequest($"{name} must be true or false")),
    };

    /// <exception cref="AgentException">invalid_request</exception>
    internal long Number(string name, long fallback, long least, long most)
    {
        if (Text(name) is not { } text) return fallback;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value) && value >= least && value <= most
            ? value
            : throw new AgentException(AgentError.InvalidRequest($"{name} must be a number from {least} to {most}"));
    }

    private static string Decode(string text)
    {
        if (!text.Contains('%')) return text;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int length = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != '%')
            {
                bytes[length++] = bytes[i];
                continue;
            }
            if (i + 2 >= bytes.Length
                || !byte.TryParse(bytes.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
                throw new AgentException(AgentError.InvalidRequest("the query has a % that is not followed by two hexadecimal digits"));
            bytes[length++] = value;
            i += 2;
        }
        return Utf8.IsValid(bytes.AsSpan(0, length))
            ? Encoding.UTF8.GetString(bytes, 0, length)
            : throw new AgentException(AgentError.InvalidRequest("the query is not UTF-8"));
    }
}
