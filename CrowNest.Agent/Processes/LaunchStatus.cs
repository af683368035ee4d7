using System.Buffers.Binary;
using System.Runtime.InteropServices;
using CrowNest.Agent.Http;

namespace CrowNest.Agent.Processes;

/// <summary>
/// The reading end of a launcher's status pipe: records of two 32-bit words until a successful execve closes the other end
/// (native/crownest-launch.c).
/// </summary>
internal sealed unsafe class LaunchStatus(int fd, string cwd, Reactor reactor) : IReadable
{
    // Two records are the most a launcher writes: the process id, then what went wrong.
    private readonly byte[] _records = new byte[64];
    private readonly TaskCompletionSource<int> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _length;

    private enum Code
    {
        Pid = 1,
        CwdMissing = 2,
        CwdNotDirectory = 3,
        CwdOutside = 4,
        CwdDenied = 5,
        ExecFailed = 6,
        ForkFailed = 7,
        SetupFailed = 8,
    }

    /// <summary>Process id of the shell once it runs; faults with an <see cref="AgentException"/> when it does not.</summary>
    internal Task<int> Outcome => _outcome.Task;

    internal void Watch() => reactor.Watch(fd, this);

    public void OnReadable()
    {
        fixed (byte* p = _records)
        {
            nint n = _length < _records.Length ? Libc.read(fd, p + _length, (nuint)(_records.Length - _length)) : 0;
            if (n < 0 && Marshal.GetLastPInvokeError() is Libc.EAGAIN or Libc.EINTR) return;
            if (n > 0)
            {
                _length += (int)n;
                return;
            }
        }
        reactor.Unwatch(fd);
        _ = Libc.close(fd);
        Decide();
    }

    private void Decide()
    {
        int pid = 0;
        for (int at = 0; at + 8 <= _length; at += 8)
        {
            var code = (Code)BinaryPrimitives.ReadInt32LittleEndian(_records.AsSpan(at));
            int value = BinaryPrimitives.ReadInt32LittleEndian(_records.AsSpan(at + 4));
            if (code == Code.Pid)
            {
                pid = value;
                continue;
            }
            _outcome.SetException(new AgentException(Error(code, value)));
            return;
        }
        if (pid > 0) _outcome.SetResult(pid);
        else _outcome.SetException(new AgentException(AgentError.RuntimeError("the launcher ended before it started the command")));
    }

    private AgentError Error(Code code, int value) => code switch
    {
        Code.CwdMissing => AgentError.FileNotFound(cwd),
        Code.CwdNotDirectory => AgentError.PathNotDirectory(cwd),
        Code.CwdOutside => AgentError.PathOutsideWorkspace(cwd),
        Code.CwdDenied => AgentError.RuntimeError($"cannot enter {cwd}: {Marshal.GetPInvokeErrorMessage(value)}"),
        Code.ExecFailed => AgentError.RuntimeError($"cannot execute the shell: {Marshal.GetPInvokeErrorMessage(value)}"),
        Code.ForkFailed => AgentError.RuntimeError($"cannot start a process: {Marshal.GetPInvokeErrorMessage(value)}"),
        _ => AgentError.RuntimeError($"the launcher failed in step {value >> 16}: {Marshal.GetPInvokeErrorMessage(value & 0xFFFF)}"),
    };
}
