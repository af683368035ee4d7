using System.Diagnostics;

namespace Aspire.Hosting.Running;

/// <summary>A running process with its lines, its pid file and its end.</summary>
internal sealed class LocalProcess : IDisposable
{
    // What a process left behind may hold its pipe open; its last own lines arrive well within this.
    private static readonly TimeSpan LastLines = TimeSpan.FromSeconds(2);

    private readonly Process _process;
    private readonly ProcessSpec _spec;
    private readonly string _pidFile;
    private readonly TimeProvider _time;

    private LocalProcess(Process process, ProcessSpec spec, string pidFile, Action<string> writeLine, TimeProvider time)
    {
        _process = process;
        _spec = spec;
        _pidFile = pidFile;
        _time = time;
        Id = process.Id;
        PidFile.Of(Id, spec.StopSignal).Write(pidFile);
        Exited = WaitForExitAsync(
            PumpAsync(process.StandardOutput, writeLine),
            PumpAsync(process.StandardError, writeLine));
    }

    public int Id { get; }

    public TimeSpan StopGrace => _spec.StopGrace;

    /// <summary>Ends with the exit code, when the process and everything else of its session is gone and its lines are written.</summary>
    public Task<int> Exited { get; }

    public static async Task<LocalProcess> StartAsync(
        ProcessLauncher launcher, ProcessSpec spec, string pidFile, Action<string> writeLine, TimeProvider time) =>
        new(await launcher.StartAsync(spec), spec, pidFile, writeLine, time);

    /// <summary>Sends a signal to the main process only.</summary>
    public void Signal(int signal)
    {
        if (!_process.HasExited)
            Signals.Send(Id, signal);
    }

    /// <summary>Asks the process to stop, waits the grace, kills; true when it stopped by itself.</summary>
    public async Task<bool> StopAsync()
    {
        Signal(_spec.StopSignal);
        try
        {
            await Exited.WaitAsync(_spec.StopGrace, _time);
            return true;
        }
        catch (TimeoutException)
        {
            Signals.SendToGroup(Id, Signals.Kill);
            await Exited;
            return false;
        }
    }

    public void Dispose() => _process.Dispose();

    private static async Task PumpAsync(StreamReader reader, Action<string> writeLine)
    {
        while (await reader.ReadLineAsync() is string line)
            writeLine(line);
    }

    private async Task<int> WaitForExitAsync(Task standardOutput, Task standardError)
    {
        // Not Process.WaitForExitAsync: that also waits for the ends of the pipes, which a grandchild may hold.
        var exited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _process.EnableRaisingEvents = true;
        _process.Exited += (_, _) => exited.TrySetResult();
        if (_process.HasExited)
            exited.TrySetResult();
        await exited.Task;

        // Children of a crashed server would hold its port and its data: nothing of its session stays.
        Signals.SendToGroup(Id, Signals.Kill);
        await Task.WhenAny(Task.WhenAll(standardOutput, standardError), Task.Delay(LastLines, _time));
        File.Delete(_pidFile);
        return _process.ExitCode;
    }
}
