using System.ComponentModel;
using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Running;

/// <summary>Keeps one process of a resource running, from its dependencies' health until it is told to stop.</summary>
internal sealed class ResourceSupervisor(
    string name,
    IReadOnlyList<string> partNames,
    ResourceDriver driver,
    Func<CancellationToken, Task> waitForDependencies,
    ResourceOutput output,
    SupervisionContext context) : IDisposable
{
    private static readonly TimeSpan FirstProbeInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan StartingProbeInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan HealthyProbeInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SlowStart = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _gate = new(1, 1);
    private CancellationTokenSource? _stopping;
    private Task _supervision = Task.CompletedTask;
    private LocalProcess? _process;
    private int _starts;

    public string Name => name;

    /// <summary>Begins to supervise; does nothing when it does already.</summary>
    public async Task StartAsync()
    {
        await _gate.WaitAsync();
        try
        {
            if (!_supervision.IsCompleted)
                return;
            _stopping?.Dispose();
            _stopping = new CancellationTokenSource();
            Publish(current => current with { State = KnownResourceStates.Waiting, ExitCode = null });
            var stopping = _stopping.Token;
            _supervision = Task.Run(() => SuperviseAsync(stopping), CancellationToken.None);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Stops the process and does not start it again.</summary>
    public async Task StopAsync()
    {
        await _gate.WaitAsync();
        try
        {
            if (_stopping is not null)
                await _stopping.CancelAsync();
            await _supervision;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Sends a signal to the process behind the supervision's back: what follows is what would follow a crash.</summary>
    /// <exception cref="DistributedApplicationException">It does not run.</exception>
    public void Signal(int signal)
    {
        var process = _process ?? throw new DistributedApplicationException($"Resource `{name}` does not run.");
        process.Signal(signal);
    }

    public void Dispose()
    {
        _stopping?.Dispose();
        _gate.Dispose();
        output.Dispose();
    }

    private async Task SuperviseAsync(CancellationToken stopping)
    {
        var failures = 0;
        try
        {
            await waitForDependencies(stopping);
            while (true)
            {
                stopping.ThrowIfCancellationRequested();
                Publish(current => current with { State = KnownResourceStates.Starting, IsHealthy = false, ProcessId = null });
                LocalProcess process;
                try
                {
                    process = await StartProcessAsync(stopping);
                }
                catch (Exception exception) when (exception is DistributedApplicationException or IOException or UnauthorizedAccessException
                    or Win32Exception)
                {
                    var wait = RestartDelay(failures++);
                    RunnerLog.StartFailed(context.Logger, name, exception.Message, wait.TotalSeconds);
                    await Task.Delay(wait, context.Time, stopping);
                    continue;
                }

                var started = context.Time.GetTimestamp();
                var exitCode = await AttendAsync(process, stopping);
                stopping.ThrowIfCancellationRequested();
                if (exitCode == 0 && !driver.IsService)
                {
                    RunnerLog.Finished(context.Logger, name);
                    Publish(current => current with { State = KnownResourceStates.Finished, ExitCode = 0 });
                    return;
                }
                if (!driver.IsService)
                {
                    RunnerLog.Failed(context.Logger, name, $"{Describe(exitCode)}; it runs once and is not started again.");
                    Publish(current => current with { State = KnownResourceStates.Exited, ExitCode = exitCode });
                    return;
                }

                var elapsed = context.Time.GetElapsedTime(started);
                if (elapsed >= context.Options.RestartDelayResetAfter)
                    failures = 0;
                var delay = RestartDelay(failures++);
                RunnerLog.Died(context.Logger, name, Describe(exitCode), elapsed.TotalSeconds, output.LogFile, delay.TotalSeconds);
                Publish(current => current with { State = KnownResourceStates.Starting, ExitCode = exitCode });
                await Task.Delay(delay, context.Time, stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            Publish(current => current with { State = KnownResourceStates.Exited, IsHealthy = false, ProcessId = null });
        }
        catch (Exception exception)
        {
            RunnerLog.Failed(context.Logger, name, exception is DistributedApplicationException ? exception.Message : exception.ToString());
            Publish(current => current with { State = KnownResourceStates.FailedToStart, IsHealthy = false, ProcessId = null });
        }
    }

    private async Task<LocalProcess> StartProcessAsync(CancellationToken stopping)
    {
        var spec = await driver.PrepareAsync(stopping);
        var pidFile = Path.Combine(context.State.Pids, name + ".pid");
        var process = await LocalProcess.StartAsync(context.Launcher, spec, pidFile, output.WriteLine, context.Time);
        _starts++;
        RunnerLog.Started(context.Logger, name, process.Id, output.Address);
        return process;
    }

    /// <summary>Watches the process until it ends or has been stopped.</summary>
    private async Task<int> AttendAsync(LocalProcess process, CancellationToken stopping)
    {
        using (process)
        using (var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping))
        {
            _process = process;
            Publish(current => current with { State = KnownResourceStates.Running, ProcessId = process.Id, Starts = _starts });
            var health = ProbeAsync(ended.Token);
            try
            {
                await process.Exited.WaitAsync(stopping);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                Publish(current => current with { State = KnownResourceStates.Stopping, IsHealthy = false });
                if (await process.StopAsync())
                    RunnerLog.Stopped(context.Logger, name);
                else
                    RunnerLog.Killed(context.Logger, name, process.StopGrace.TotalSeconds);
            }
            finally
            {
                _process = null;
                await ended.CancelAsync();
                await health;
            }
            var exitCode = await process.Exited;
            Publish(current => current with { IsHealthy = false, ProcessId = null, ExitCode = exitCode });
            return exitCode;
        }
    }

    private async Task ProbeAsync(CancellationToken ended)
    {
        var started = context.Time.GetTimestamp();
        var wasHealthy = false;
        var isHealthy = false;
        var slowReported = false;
        var interval = FirstProbeInterval;
        try
        {
            while (true)
            {
                var reason = await ProbeOnceAsync(first: !wasHealthy, ended);
                if (reason is null && !isHealthy)
                {
                    RunnerLog.Healthy(context.Logger, name, (long)context.Time.GetElapsedTime(started).TotalMilliseconds);
                    Publish(current => current with { IsHealthy = true });
                }
                else if (reason is not null && !wasHealthy && !slowReported && context.Time.GetElapsedTime(started) > SlowStart)
                {
                    slowReported = true;
                    RunnerLog.Unhealthy(context.Logger, name, reason);
                }
                else if (reason is not null && isHealthy)
                {
                    RunnerLog.Unhealthy(context.Logger, name, reason);
                    Publish(current => current with { IsHealthy = false });
                }
                isHealthy = reason is null;
                wasHealthy |= isHealthy;
                if (isHealthy)
                    interval = HealthyProbeInterval;
                else
                    interval = interval < StartingProbeInterval ? interval * 1.5 : StartingProbeInterval;
                await Task.Delay(interval, context.Time, ended);
            }
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The process has ended or is being stopped: there is nothing left to probe.
        }
    }

    private async Task<string?> ProbeOnceAsync(bool first, CancellationToken ended)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(ended);
        timeout.CancelAfter(ProbeTimeout);
        try
        {
            var reason = await driver.ProbeAsync(timeout.Token);
            if (reason is null && first)
                await driver.OnFirstHealthyAsync(ended);
            return reason;
        }
        catch (DistributedApplicationException exception)
        {
            return exception.Message;
        }
        catch (OperationCanceledException) when (!ended.IsCancellationRequested)
        {
            return $"no answer within {ProbeTimeout.TotalSeconds} s";
        }
    }

    private TimeSpan RestartDelay(int failures)
    {
        var doubled = context.Options.RestartDelay * Math.Pow(2, Math.Min(failures, 16));
        return doubled < context.Options.MaximumRestartDelay ? doubled : context.Options.MaximumRestartDelay;
    }

    private void Publish(Func<ResourceSnapshot, ResourceSnapshot> change)
    {
        foreach (var published in partNames.Prepend(name))
            context.Notifications.Update(published, change);
    }

    private static string Describe(int exitCode) => exitCode switch
    {
        128 + Signals.Kill => "killed by SIGKILL",
        128 + Signals.Terminate => "ended by SIGTERM",
        > 128 => string.Create(CultureInfo.InvariantCulture, $"ended by signal {exitCode - 128}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"exit code {exitCode}"),
    };
}

/// <summary>What all supervisors of an application share.</summary>
internal sealed record SupervisionContext(
    LocalHostingOptions Options,
    StateFolder State,
    ProcessLauncher Launcher,
    ResourceNotificationService Notifications,
    TimeProvider Time,
    ILogger Logger);

/// <summary>Where the lines of one process go: the console and its log file.</summary>
internal sealed class ResourceOutput(string name, string address, ResourceConsole console, StateFolder state) : IDisposable
{
    private readonly ResourceLogFile _file = new(state.Logs, name);

    /// <summary><c> on http://127.0.0.1:8787</c>, or nothing.</summary>
    public string Address => address;

    public string LogFile => Path.Combine(state.Logs, name + ".log");

    public void WriteLine(string line)
    {
        console.WriteLine(name, line);
        _file.WriteLine(line);
    }

    public void Dispose() => _file.Dispose();
}
