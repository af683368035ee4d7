using System.Text.RegularExpressions;

namespace CrowNest.ServiceDefaults.Tests;

/// <summary>An event id names one message of the whole system, whichever process says it.</summary>
public sealed partial class EventIdTests
{
    [Fact]
    public void EventIds_OfAllProjects_AreUnique()
    {
        var ids = (
            from project in Directory.EnumerateDirectories(FindCheckout(), "CrowNest.*")
            from file in Directory.EnumerateFiles(project, "*.cs", SearchOption.AllDirectories)
            from Match message in Message().Matches(File.ReadAllText(file))
            select (Id: message.Groups[1].Value, File: Path.GetFileName(file))).ToList();

        Assert.NotEmpty(ids);
        Assert.Empty(ids.GroupBy(message => message.Id).Where(same => same.Count() > 1).Select(same => $"{same.Key}: {string.Join(", ", same)}"));
    }

    private static string FindCheckout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "CrowNest.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside a checkout.");
        }

        return folder;
    }

    [GeneratedRegex(@"\[LoggerMessage\((?:EventId = )?(\d+)")]
    private static partial Regex Message();
}
