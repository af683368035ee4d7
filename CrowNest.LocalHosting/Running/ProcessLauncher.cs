using System.Collections.Concurrent;
using System.Diagnostics;
using Aspire.Hosting.Services;

namespace Aspire.Hosting.Running;

/// <summary>How to start a process.</summary>
/// <param name="FileName">Absolute path, or a name in PATH.</param>
/// <param name="Arguments">Command line.</param>
/// <param name="WorkingDirectory">Absolute folder.</param>
internal sealed record ProcessSpec(string FileName, IReadOnlyList<string> Arguments, string WorkingDirectory)
{
    /// <summary>Variables that differ from the AppHost's own; null removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>The signal that asks the process to stop.</summary>
    public int StopSignal { get; init; } = Signals.Terminate;

    /// <summary>How long it may take to stop before SIGKILL.</summary>
    public required TimeSpan StopGrace { get; init; }

    /// <summary>Further options of setpriv(1), such as the user to run as.</summary>
    public IReadOnlyList<string> PrivilegeOptions { get; init; } = [];
}

/// <summary>
/// Starts processes so that none outlives the AppHost: each in a session of its own, so that the terminal's Ctrl+C reaches only the AppHost,
/// which then stops them in order; and with its stop signal as PDEATHSIG, for the day the AppHost is killed.
/// </summary>
/// <remarks>
/// setsid(1) and setpriv(1) both execute in place, so the pid stays and signals arrive. PDEATHSIG follows the thread that forked, not the
/// process: all starts go through one thread that lives as long as this object, because a thread of the pool may end at any time.
/// </remarks>
internal sealed class ProcessLauncher : IDisposable
{
    private readonly BlockingCollection<(ProcessStartInfo Start, TaskCompletionSource<Process> Started)> _queue = [];
    private readonly Thread _thread;

    public ProcessLauncher()
    {
        _thread = new Thread(StartQueued) { IsBackground = true, Name = "process launcher" };
        _thread.Start();
    }

    public Task<Process> StartAsync(ProcessSpec spec)
    {
        var program = FindProgram(spec.FileName)
            ?? throw new DistributedApplicationException($"There is no program `{spec.FileName}`.");
        if (!Directory.Exists(spec.WorkingDirectory))
            throw new DistributedApplicationException($"There is no folder `{spec.WorkingDirectory}` to start `{spec.FileName}` in.");

        var start = new ProcessStartInfo("setsid")
        {
            WorkingDirectory = spec.WorkingDirectory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        string[] command =
        [
            "setpriv", "--pdeathsig", Signals.NameOf(spec.StopSignal), .. spec.PrivilegeOptions, "--", program,
            .. spec.Arguments,
        ];
        foreach (var argument in command)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in spec.Environment)
        {
            if (value is null)
                start.Environment.Remove(name);
            else
                start.Environment[name] = value;
        }

        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        _queue.Add((start, started));
        return started.Task;
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread.Join();
        _queue.Dispose();
    }

    private static string? FindProgram(string fileName)
    {
        if (fileName.Contains('/'))
            return File.Exists(fileName) ? fileName : null;
        return LocalPrograms.Find(fileName);
    }

    private void StartQueued()
    {
        foreach (var (start, started) in _queue.GetConsumingEnumerable())
        {
            try
            {
                var process = Process.Start(start) ?? throw new InvalidOperationException("The process was not started.");
                process.StandardInput.Close();
                started.SetResult(process);
            }
            catch (Exception exception)
            {
                // Whatever it is, it belongs to the one who waits for the start; this thread must go on.
                started.SetException(exception);
            }
        }
    }
}
