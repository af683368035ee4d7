using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace CrowNest.ServiceDefaults.Logging;

/// <summary>Settings of the console lines (<c>Logging:Console:FormatterOptions</c>).</summary>
internal sealed class LineFormatterOptions : ConsoleFormatterOptions;

/// <summary>
/// One line per record: <c>2026-11-22T02:53:12.329Z info  CrowNest.Api.Commands [req_…] message | exception</c>. A host that prefixes lines
/// keeps records whole that way, and nothing a user sends can forge one.
/// </summary>
internal sealed class LineFormatter(IOptionsMonitor<LineFormatterOptions> options) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "line";

    /// <summary>The name of the scope value and of the activity's tag that carries the request id.</summary>
    public const string RequestIdKey = "crownest.request_id";

    private const string LineSeparator = " | ";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        textWriter.Write(DateTimeOffset.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ ", CultureInfo.InvariantCulture));
        textWriter.Write(LevelName(logEntry.LogLevel));
        textWriter.Write(logEntry.Category);
        if (FindRequestId(scopeProvider) is { } requestId)
            textWriter.Write($" [{requestId}]");
        textWriter.Write(' ');
        WriteOnOneLine(textWriter, logEntry.Formatter(logEntry.State, logEntry.Exception));
        if (options.CurrentValue.IncludeScopes)
            scopeProvider?.ForEachScope(WriteScope, textWriter);
        if (logEntry.Exception is not null)
        {
            textWriter.Write(LineSeparator);
            WriteOnOneLine(textWriter, logEntry.Exception.ToString());
        }
        textWriter.WriteLine();
    }

    private static void WriteScope(object? scope, TextWriter writer)
    {
        writer.Write(" => ");
        WriteOnOneLine(writer, scope is IEnumerable<KeyValuePair<string, object?>> values && scope.ToString() == scope.GetType().ToString()
            ? string.Join(", ", values.Select(value => $"{value.Key}={value.Value}"))
            : scope?.ToString() ?? "");
    }

    private static string LevelName(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace ",
        LogLevel.Debug => "debug ",
        LogLevel.Information => "info  ",
        LogLevel.Warning => "WARN  ",
        LogLevel.Error => "ERROR ",
        LogLevel.Critical => "CRIT  ",
        _ => "      ",
    };

    private static string? FindRequestId(IExternalScopeProvider? scopeProvider)
    {
        var found = new RequestIdSearch();
        scopeProvider?.ForEachScope(static (scope, search) => search.Look(scope), found);
        if (found.RequestId is not null)
            return found.RequestId;
        for (var activity = Activity.Current; activity is not null; activity = activity.Parent)
        {
            if (activity.GetTagItem(RequestIdKey) is string requestId)
                return requestId;
        }
        return null;
    }

    private static void WriteOnOneLine(TextWriter writer, string text)
    {
        if (!text.AsSpan().ContainsAny('\r', '\n'))
            writer.Write(text);
        else
            writer.Write(string.Join(LineSeparator, text.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)));
    }

    private sealed class RequestIdSearch
    {
        public string? RequestId { get; private set; }

        // Both Dictionary<string, object> and the states of message templates are sequences of pairs.
        public void Look(object? scope)
        {
            if (scope is not IEnumerable<KeyValuePair<string, object?>> values)
                return;
            foreach (var (key, value) in values)
            {
                if (key == RequestIdKey)
                    RequestId = value?.ToString();
            }
        }
    }
}

internal static class ConsoleLines
{
    public static void AddConsoleLines(this WebApplicationBuilder builder)
    {
        builder.Logging.ClearProviders();
        builder.Logging.AddConsole(console => console.FormatterName = LineFormatter.FormatterName);
        builder.Logging.AddConsoleFormatter<LineFormatter, LineFormatterOptions>();
    }
}
