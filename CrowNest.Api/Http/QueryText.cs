namespace CrowNest.Api.Http;

/// <summary>Query text that could not be stored or compared: refused at the door, so that it is never a failing statement.</summary>
internal static class QueryText
{
    /// <exception cref="ApiException">400 that names the parameter.</exception>
    public static void Check(HttpRequest request)
    {
        foreach (var (name, values) in request.Query)
        {
            if (name.Contains('\0') || values.Any(value => value?.Contains('\0') == true))
            {
                var field = name.Replace("\0", "", StringComparison.Ordinal);
                throw ApiException.InvalidField(field, $"'{field}' contains a NUL character.");
            }
        }
    }
}
