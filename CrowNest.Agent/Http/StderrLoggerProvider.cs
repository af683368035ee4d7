namespace CrowNest.Agent.Http;

/// <summary>Warnings and errors, one line each, to the container's log. The framework's console logger costs a thread and 1 MB.</summary>
internal sealed class StderrLoggerProvider : ILoggerProvider
{
    public ILogger CreateLogger(string categoryName) => new StderrLogger(categoryName);

    public void Dispose()
    {
    }

    private sealed class StderrLogger(string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel is >= LogLevel.Warning and < LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;
            var line = $"{logLevel} {category}[{eventId.Id}] {formatter(state, exception)} {exception}";
            Console.Error.WriteLine(line.ReplaceLineEndings(" | "));
        }
    }
}
