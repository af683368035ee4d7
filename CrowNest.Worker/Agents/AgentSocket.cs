using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CrowNest.Worker.Agents;

/// <summary>
/// Connects to an agent's socket without following a link (docs/architecture.md, Isolation): the last component is opened with
/// <c>O_PATH|O_NOFOLLOW</c>, must be a socket, and is then connected through <c>/proc/self/fd</c>, so
/// that what was checked is what is used.
/// </summary>
internal static partial class AgentSocket
{
    private const int OpenPath = 0x20_0000;
    private const int NoFollow = 0x2_0000;
    private const int CloseOnExec = 0x8_0000;
    private const int AtEmptyPath = 0x1000;
    private const uint StatxType = 0x1;
    private const int FormatMask = 0xF000;
    private const int SocketFormat = 0xC000;

    /// <exception cref="AgentUnavailableException">The path is no socket, or nobody accepts.</exception>
    public static async Task<Socket> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        using var handle = Open(path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(
                new UnixDomainSocketEndPoint($"/proc/self/fd/{handle.DangerousGetHandle()}"), cancellationToken);
            return socket;
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw new AgentUnavailableException("The agent does not accept connections.", exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static SafeFileHandle Open(string path)
    {
        var descriptor = OpenFile(path, OpenPath | NoFollow | CloseOnExec);
        if (descriptor < 0)
        {
            throw new AgentUnavailableException($"The agent's socket cannot be opened: error {Marshal.GetLastPInvokeError()}.");
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Stat(descriptor, "", AtEmptyPath, StatxType, out var status) != 0 || (status.Mode & FormatMask) != SocketFormat)
        {
            handle.Dispose();
            throw new AgentUnavailableException("What lies at the agent's path is not a socket.");
        }

        return handle;
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int OpenFile(string path, int flags);

    // statx has one layout on every architecture, unlike stat.
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Stat(int descriptor, string path, int flags, uint mask, out FileStatus status);

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct FileStatus
    {
        [FieldOffset(28)]
        public ushort Mode;
    }
}
