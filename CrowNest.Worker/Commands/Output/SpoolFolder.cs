using CrowNest.Contracts;

namespace CrowNest.Worker.Commands.Output;

/// <summary>The folder of all spools of this node: one folder per command that has output and is not stored yet.</summary>
internal sealed class SpoolFolder
{
    private readonly string _root;

    public SpoolFolder(string root)
    {
        _root = root;
        Directory.CreateDirectory(root);
    }

    /// <summary>Ids of the commands that have a spool.</summary>
    public IEnumerable<string> CommandIds =>
        Directory.EnumerateDirectories(_root).Select(path => Path.GetFileName(path)).Where(name => Ids.IsValid(name, Ids.Command));

    public string PathOf(string commandId) => Ids.IsValid(commandId, Ids.Command)
        ? Path.Combine(_root, commandId)
        : throw new ArgumentException("Not a command's id.", nameof(commandId));
}
