using System.Globalization;
using System.Security.Cryptography;

namespace CrowNest.AppHost;

/// <summary>The folder that holds everything a stopped stack leaves behind, and the lock that only one AppHost can have.</summary>
internal sealed class StateFolder(string path) : IDisposable
{
    private const int SecretLength = 48;
    private const UnixFileMode OwnerOnlyFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerOnlyFolder = OwnerOnlyFile | UnixFileMode.UserExecute;

    private FileStream? _lock;

    public string Path => path;

    /// <summary>Console output of every resource. Owner only: the first API key may be shown in the log of the API.</summary>
    public string Logs => Combine("logs");

    private string PidFile => Combine("apphost.pid");

    public string Combine(string name) => System.IO.Path.Combine(path, name);

    /// <summary>Takes the folder for this process, until it ends.</summary>
    /// <exception cref="DistributedApplicationException">Another AppHost has it, or it cannot be written.</exception>
    public void Lock()
    {
        try
        {
            Directory.CreateDirectory(path);
            Directory.CreateDirectory(Logs, OwnerOnlyFolder);
            _lock = new FileStream(Combine("lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (File.Exists(PidFile))
        {
            throw new DistributedApplicationException(
                $"Another AppHost (pid {File.ReadAllText(PidFile).Trim()}) already runs on {path}. Stop it first (./down.sh), or give this "
                + "one a folder and ports of its own (CROWNEST_STATE_DIRECTORY, CROWNEST_*_PORT).",
                exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new DistributedApplicationException(
                $"The state folder {path} cannot be used: {exception.Message} Set CROWNEST_STATE_DIRECTORY to another one.", exception);
        }
        File.WriteAllText(PidFile, Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");
    }

    /// <summary>The secret of that name, letters and digits; made and kept when it is not there yet.</summary>
    public string GetOrCreateSecret(string name)
    {
        var folder = Combine("secrets");
        Directory.CreateDirectory(folder, OwnerOnlyFolder);
        var file = System.IO.Path.Combine(folder, name);
        if (File.Exists(file) && File.ReadAllText(file).Trim() is { Length: > 0 } existing)
            return existing;

        var value = RandomNumberGenerator.GetString("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", SecretLength);
        // Renamed when it is whole: a start that is killed half-way leaves no half secret.
        var unfinished = file + ".new";
        File.Delete(unfinished);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnlyFile };
        using (var writer = new StreamWriter(unfinished, options))
            writer.WriteLine(value);
        File.Move(unfinished, file, overwrite: true);
        return value;
    }

    public void Dispose()
    {
        if (_lock is null)
            return;
        File.Delete(PidFile);
        _lock.Dispose();
        _lock = null;
    }
}
