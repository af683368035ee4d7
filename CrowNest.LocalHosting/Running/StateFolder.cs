using System.Globalization;

namespace Aspire.Hosting.Running;

/// <summary>The folder that holds everything a stopped application leaves behind, and the lock that only one AppHost can have.</summary>
internal sealed class StateFolder(LocalHostingOptions options) : IDisposable
{
    private const UnixFileMode OwnerOnlyFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerOnlyFolder = OwnerOnlyFile | UnixFileMode.UserExecute;

    private FileStream? _lock;

    public string Path => options.StateDirectory;

    public string Pids => Combine("pids");

    public string Logs => Combine("logs");

    private string AppHostPidFile => Combine("apphost.pid");

    private string Secrets => Combine("secrets");

    public string Combine(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Takes the folder for this process.</summary>
    /// <exception cref="DistributedApplicationException">Another AppHost has it, or it cannot be written.</exception>
    public void Lock()
    {
        try
        {
            Directory.CreateDirectory(Path);
            Directory.CreateDirectory(Pids);
            // Owner only: the first API key is shown in the log of the API.
            Directory.CreateDirectory(Logs, OwnerOnlyFolder);
            _lock = new FileStream(Combine("lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (File.Exists(AppHostPidFile))
        {
            throw new DistributedApplicationException(
                $"Another AppHost (pid {File.ReadAllText(AppHostPidFile).Trim()}) already runs on {Path}. Stop it first "
                + $"(./down.sh), or give this one a folder and ports of its own ({LocalHostingOptions.StateDirectoryVariable}, CROWNEST_*_PORT).",
                exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new DistributedApplicationException(
                $"The state folder {Path} cannot be used: {exception.Message} Set {LocalHostingOptions.StateDirectoryVariable} to another one.",
                exception);
        }
        File.WriteAllText(AppHostPidFile, Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");
    }

    /// <summary>The secret of that name; made and kept when it is not there yet.</summary>
    public string GetOrCreateSecret(string name, Func<string> create)
    {
        Directory.CreateDirectory(Path);
        Directory.CreateDirectory(Secrets, OwnerOnlyFolder);
        var file = System.IO.Path.Combine(Secrets, name);
        if (File.Exists(file) && File.ReadAllText(file).Trim() is { Length: > 0 } existing)
            return existing;

        var value = create();
        var unfinished = file + ".new";
        WritePrivateFile(unfinished, value + "\n");
        File.Move(unfinished, file, overwrite: true);
        return value;
    }

    /// <summary>Writes a file that only its owner can read, whatever the umask.</summary>
    public static void WritePrivateFile(string path, string content)
    {
        File.Delete(path);
        using var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = OwnerOnlyFile,
        });
        using var writer = new StreamWriter(stream);
        writer.Write(content);
    }

    public void Dispose()
    {
        if (_lock is null)
            return;
        File.Delete(AppHostPidFile);
        _lock.Dispose();
        _lock = null;
    }
}
