using System.Globalization;

namespace CrowNest.Dashboard.Components;

/// <summary>Lengths of time in words.</summary>
internal static class DurationText
{
    /// <summary>How long something took, exact where it is short.</summary>
    public static string Took(long? milliseconds) => milliseconds switch
    {
        null => "–",
        < 1000 => $"{milliseconds} ms",
        < 60_000 => (milliseconds.Value / 1000.0).ToString("0.0", CultureInfo.InvariantCulture) + " s",
        _ => Short(TimeSpan.FromMilliseconds(milliseconds.Value)),
    };

    /// <summary>The two largest units.</summary>
    public static string Short(TimeSpan span) => span switch
    {
        { TotalSeconds: < 60 } => $"{Math.Max(0, (int)span.TotalSeconds)} s",
        { TotalMinutes: < 60 } => Two(span.Minutes, "min", span.Seconds, "s"),
        { TotalHours: < 24 } => Two(span.Hours, "h", span.Minutes, "min"),
        _ => Two(span.Days, "d", span.Hours, "h"),
    };

    private static string Two(int large, string largeUnit, int small, string smallUnit) =>
        small == 0 ? $"{large} {largeUnit}" : $"{large} {largeUnit} {small} {smallUnit}";
}
