using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Running;

/// <summary>Ends what an AppHost that was killed has left running on this state folder.</summary>
internal sealed class LeftoverProcesses(StateFolder state, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    public async Task EndAsync(CancellationToken cancellationToken)
    {
        var leftovers = new List<(string File, string Name, PidFile Pid)>();
        foreach (var file in Directory.EnumerateFiles(state.Pids, "*.pid"))
        {
            if (PidFile.Read(file) is { } pid && pid.IsAlive())
                leftovers.Add((file, Path.GetFileNameWithoutExtension(file), pid));
            else
                File.Delete(file);
        }

        foreach (var (_, name, pid) in leftovers)
        {
            RunnerLog.EndingLeftover(logger, name, pid.ProcessId);
            Signals.Send(pid.ProcessId, pid.StopSignal);
        }

        var deadline = time.GetUtcNow() + Grace;
        foreach (var (file, _, pid) in leftovers)
        {
            while (pid.IsAlive() && time.GetUtcNow() < deadline)
                await Task.Delay(Poll, time, cancellationToken);
            // Every resource leads a session of its own, so this reaches its children and nobody else's.
            Signals.SendToGroup(pid.ProcessId, Signals.Kill);
            while (pid.IsAlive())
                await Task.Delay(Poll, time, cancellationToken);
            File.Delete(file);
        }
    }
}
