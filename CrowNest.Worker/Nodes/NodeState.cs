using System.Security.Cryptography;
using CrowNest.Contracts;
using CrowNest.Worker.Containers;

namespace CrowNest.Worker.Nodes;

/// <summary>What the node keeps on disk, and who it is. One process at a time holds it.</summary>
internal sealed class NodeState : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly FileStream _lock;

    private NodeState(string path, FileStream held)
    {
        Path = path;
        _lock = held;
        DeploymentId = ReadOrWrite("deployment-id", static () => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4)));
        if (DeploymentId.Length != 8 || !DeploymentId.All(char.IsAsciiHexDigitLower))
        {
            held.Dispose();
            throw new StartupException(
                $"{System.IO.Path.Combine(path, "deployment-id")} must hold eight hex digits, not '{DeploymentId}'.");
        }

        Sockets = System.IO.Path.Combine(path, "run");
        Directory.CreateDirectory(Sockets, Private);
    }

    public string Path { get; }

    /// <summary>Eight hex digits: part of the name of everything that this node puts outside its state folder.</summary>
    public string DeploymentId { get; }

    /// <summary>Holds one folder per container, with its agent's socket.</summary>
    public string Sockets { get; }

    /// <summary>Label of every container of ours.</summary>
    public string ContainerLabel => $"{ContainerLabels.Deployment}={DeploymentId}";

    private string CleanedUpPath => System.IO.Path.Combine(Path, "cleaned-up");

    /// <summary>Opens the folder, making it if it is new.</summary>
    /// <exception cref="StartupException">It cannot be used; the message says why and what to do.</exception>
    public static NodeState Open(string directory)
    {
        var path = System.IO.Path.GetFullPath(directory);
        try
        {
            Directory.CreateDirectory(path, Private);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"The state folder {path} cannot be used: {exception.Message}", exception);
        }

        FileStream held;
        try
        {
            held = new FileStream(System.IO.Path.Combine(path, "worker.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception)
        {
            throw new StartupException(
                $"Another worker uses the state folder {path}. Stop it, or give this one a CrowNest__StateDirectory of its own.",
                exception);
        }

        return new NodeState(path, held);
    }

    /// <summary>The configured id, or the one made on the first start.</summary>
    public string WorkerId(string? configured) => configured ?? ReadOrWrite("worker-id", static () => Ids.New(Ids.Worker));

    public string SocketFolder(string containerName) => System.IO.Path.Combine(Sockets, containerName);

    /// <summary>Notes that everything of this node was taken away on purpose, for the next start to know.</summary>
    public void WriteCleanedUp() => File.WriteAllText(CleanedUpPath, "");

    /// <summary>Whether <see cref="WriteCleanedUp"/> ran since the last start.</summary>
    public bool IsCleanedUp => File.Exists(CleanedUpPath);

    public void ForgetCleanedUp() => File.Delete(CleanedUpPath);

    public void Dispose() => _lock.Dispose();

    private string ReadOrWrite(string name, Func<string> create)
    {
        var path = System.IO.Path.Combine(Path, name);
        if (File.Exists(path) && File.ReadAllText(path).Trim() is { Length: > 0 } known)
        {
            return known;
        }

        var value = create();
        var partial = path + ".partial";
        File.WriteAllText(partial, value);
        File.Move(partial, path, overwrite: true);
        return value;
    }
}
