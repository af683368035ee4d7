using System.Globalization;
using System.Text;

namespace CrowNest.Bench;

/// <param name="Ours">What CrowNest took, with unit.</param>
/// <param name="Docker">What plain Docker took in the same run, or a dash.</param>
/// <param name="Ratio">Ours over Docker's, or a dash.</param>
/// <param name="Target">What the project promises.</param>
internal sealed record ReportRow(string Measure, string Ours, string Docker, string Ratio, string Target, bool Reached);

/// <summary>The table that README quotes.</summary>
internal sealed class Report(string machine, DateTimeOffset at)
{
    public List<ReportRow> Rows { get; } = [];

    public void Add(ReportRow row)
    {
        Rows.Add(row);
        Console.Error.WriteLine($"  {row.Measure}: {row.Ours} | Docker {row.Docker} | {row.Ratio} | {(row.Reached ? "reached" : "MISSED")} {row.Target}");
    }

    /// <param name="target">Most that ours may take of Docker's time: below 1 a part of it.</param>
    public void AddRatio(string measure, Samples ours, string dockerName, Samples docker, double target)
    {
        var ratio = ours.Median / docker.Median;
        Add(new(
            measure, ours.ToString(), $"{docker} {dockerName}", ratio < 1 ? $"1/{1 / ratio:0.0}" : $"{ratio:0.00}",
            target < 1 ? $"1/{1 / target:0} of {dockerName}" : $"at most {target:0.0} times", ratio <= target));
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{at:yyyy-MM-dd HH:mm} UTC, {machine}").AppendLine();
        text.AppendLine("| measure | CrowNest | plain Docker | ratio | must reach | |");
        text.AppendLine("| --- | --- | --- | --- | --- | --- |");
        foreach (var row in Rows)
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {row.Measure} | {row.Ours} | {row.Docker} | {row.Ratio} | {row.Target} | {(row.Reached ? "reached" : "**missed**")} |");
        }

        return text.ToString();
    }

    public async Task WriteAsync(string directory, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, $"{at:yyyy-MM-dd-HHmm}.md");
        await File.WriteAllTextAsync(path, ToString(), cancellationToken);
        Console.WriteLine(ToString());
        await Console.Error.WriteLineAsync($"Written to {path}");
    }
}
