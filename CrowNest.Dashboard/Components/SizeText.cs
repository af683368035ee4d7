using System.Globalization;

namespace CrowNest.Dashboard.Components;

/// <summary>Numbers of bytes in words, in powers of 1024.</summary>
internal static class SizeText
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB"];

    public static string Of(long bytes)
    {
        var (amount, unit) = ((double)bytes, 0);
        // 1023.95 KiB would be shown as 1024.0 KiB.
        while (amount >= 1023.95 && unit < Units.Length - 1)
            (amount, unit) = (amount / 1024, unit + 1);
        return amount.ToString(unit == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " " + Units[unit];
    }

    /// <summary>The number itself, for those who need it.</summary>
    public static string Exact(long bytes) => bytes.ToString("#,0", CultureInfo.InvariantCulture) + " bytes";
}
