using System.Diagnostics;
using CrowNest.ServiceDefaults.Logging;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace CrowNest.ServiceDefaults.Tests.Logging;

public sealed class LineFormatterTests
{
    private readonly LoggerExternalScopeProvider _scopes = new();

    [Fact]
    public void Write_Record_IsOneLineWithTimeLevelCategoryAndMessage()
    {
        var line = Format("hello", exception: null);

        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARN  CrowNest\.Api\.Things hello\n$", line);
    }

    [Fact]
    public void Write_TextWithLineBreaks_StaysOneLine()
    {
        var line = Format("first\r\n2026-01-01T00:00:00.000Z info  forged\nthird", new InvalidOperationException("broken\nin two"));

        Assert.Equal(line.Length - 1, line.IndexOf('\n'));
        Assert.Contains("first | 2026-01-01T00:00:00.000Z info  forged | third", line, StringComparison.Ordinal);
        Assert.Contains("InvalidOperationException: broken | in two", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_RequestIdInScope_IsShown()
    {
        using var outer = _scopes.Push(new Dictionary<string, object> { [LineFormatter.RequestIdKey] = "req_7" });
        using var inner = _scopes.Push("something else");

        Assert.Contains("CrowNest.Api.Things [req_7] hello", Format("hello", exception: null), StringComparison.Ordinal);
    }

    [Fact]
    public void Write_RequestIdOnOuterActivity_IsShown()
    {
        using var request = new Activity("request").SetTag(LineFormatter.RequestIdKey, "req_8").Start();
        using var step = new Activity("step").Start();

        Assert.Contains("[req_8] hello", Format("hello", exception: null), StringComparison.Ordinal);
    }

    [Fact]
    public void Write_ScopesAskedFor_AreShown()
    {
        using var scope = _scopes.Push(new Dictionary<string, object> { ["sandbox"] = "sbx_1" });

        Assert.DoesNotContain("sbx_1", Format("hello", exception: null), StringComparison.Ordinal);
        Assert.Contains("hello => sandbox=sbx_1", Format("hello", exception: null, includeScopes: true), StringComparison.Ordinal);
    }

    private string Format(string message, Exception? exception, bool includeScopes = false)
    {
        var formatter = new LineFormatter(new FixedOptions(new LineFormatterOptions { IncludeScopes = includeScopes }));
        using var writer = new StringWriter { NewLine = "\n" };
        var entry = new LogEntry<string>(LogLevel.Warning, "CrowNest.Api.Things", 1, message, exception, (state, _) => state);
        formatter.Write(entry, _scopes, writer);
        return writer.ToString();
    }

    private sealed class FixedOptions(LineFormatterOptions value) : IOptionsMonitor<LineFormatterOptions>
    {
        public LineFormatterOptions CurrentValue => value;

        public LineFormatterOptions Get(string? name) => value;

        public IDisposable? OnChange(Action<LineFormatterOptions, string?> listener) => null;
    }
}
