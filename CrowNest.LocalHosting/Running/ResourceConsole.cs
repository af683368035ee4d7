using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Running;

/// <summary>All lines of all resources, one writer: <c>api       | line</c>.</summary>
internal sealed class ResourceConsole(LocalHostingOptions options)
{
    public const string AppHostName = "apphost";

    // Bright foregrounds that are readable on black and on white.
    private static readonly string[] Colours = ["36", "33", "35", "32", "34", "31", "96", "95"];

    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _colourOf = [];
    private readonly bool _coloured = ReferenceEquals(options.Output, Console.Out) && !Console.IsOutputRedirected
        && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    private int _width = AppHostName.Length;

    /// <summary>Makes the prefixes of these resources equally wide.</summary>
    public void Align(IEnumerable<string> names)
    {
        lock (_lock)
            _width = names.Append(AppHostName).Max(name => name.Length);
    }

    public void WriteLine(string resource, string line)
    {
        lock (_lock)
        {
            var prefix = resource.PadRight(_width);
            if (_coloured)
            {
                if (!_colourOf.TryGetValue(resource, out var colour))
                    _colourOf[resource] = colour = _colourOf.Count % Colours.Length;
                options.Output.WriteLine($"\e[{Colours[colour]}m{prefix} |\e[0m {line}");
            }
            else
            {
                options.Output.WriteLine($"{prefix} | {line}");
            }
            options.Output.Flush();
        }
    }
}

/// <summary>The AppHost's own records, among the lines of its resources.</summary>
internal sealed class ResourceConsoleLoggerProvider(ResourceConsole console, TimeProvider time) : ILoggerProvider
{
    public ILogger CreateLogger(string categoryName) => new ConsoleLogger(console, time);

    public void Dispose()
    {
    }

    private sealed class ConsoleLogger(ResourceConsole console, TimeProvider time) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var level = logLevel switch
            {
                LogLevel.Critical => "CRIT",
                LogLevel.Error => "ERROR",
                LogLevel.Warning => "WARN",
                _ => "info",
            };
            var timestamp = time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
            foreach (var line in $"{formatter(state, exception)}\n{exception}".Split('\n', StringSplitOptions.RemoveEmptyEntries))
                console.WriteLine(ResourceConsole.AppHostName, $"{timestamp} {level,-5} {line.TrimEnd('\r')}");
        }
    }
}
