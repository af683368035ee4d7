using System.Security.Cryptography;

namespace CrowNest.Worker.Nodes;

/// <summary>
/// The agent and the launcher, copied into the state folder under the fingerprint of their bytes: a sandbox keeps the pair it started with,
/// whatever happens to the installation meanwhile.
/// </summary>
internal sealed class AgentPrograms
{
    public static readonly IReadOnlyList<string> Names = ["crownest-agent", "crownest-launch"];

    private const UnixFileMode ReadAndExecute = UnixFileMode.UserRead | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly string _root;

    private AgentPrograms(string root, string directory)
    {
        _root = root;
        InstalledAt = directory;
    }

    /// <summary>What is mounted read-only at <c>/opt/crownest</c>.</summary>
    public string InstalledAt { get; }

    public static AgentPrograms Install(string from, string stateDirectory)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in Names)
        {
            hash.AppendData(File.ReadAllBytes(Path.Combine(from, name)));
        }

        var root = Path.Combine(stateDirectory, "agent");
        var directory = Path.Combine(root, Convert.ToHexStringLower(hash.GetHashAndReset())[..16]);
        if (!Directory.Exists(directory))
        {
            // Copied aside and renamed: a crash in between leaves no half program under the final name.
            var partial = directory + ".partial";
            Directory.CreateDirectory(partial, ReadAndExecute | UnixFileMode.UserWrite);
            foreach (var name in Names)
            {
                var target = Path.Combine(partial, name);
                File.Copy(Path.Combine(from, name), target, overwrite: true);
                File.SetUnixFileMode(target, ReadAndExecute);
            }

            Directory.Move(partial, directory);
        }

        return new AgentPrograms(root, directory);
    }

    /// <summary>Removes the copies that neither this start nor any of <paramref name="inUse"/> needs.</summary>
    public void RemoveOthers(IEnumerable<string> inUse)
    {
        var kept = inUse.Append(InstalledAt).ToHashSet();
        foreach (var directory in Directory.GetDirectories(_root).Where(d => !kept.Contains(d)))
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
