using System.Text;

namespace CrowNest.Agent.Files.Archives;

/// <summary>A link entry whose target could not be judged when it came: where it belongs, from the workspace on, and its target.</summary>
internal sealed record WaitingLink(byte[] Directory, byte[] Name, TarEntry Entry);

/// <summary>Links that wait for the end of their archive, by the path they will have. Few archives have any.</summary>
internal sealed class WaitingLinks
{
    private const int MaxBytes = 1 << 20;

    private readonly Dictionary<string, WaitingLink> _byPath = new(StringComparer.Ordinal);
    private int _bytes;

    internal IReadOnlyCollection<WaitingLink> All => _byPath.Values;

    /// <summary>False when there are too many to be kept.</summary>
    internal bool TryAdd(WaitingLink link)
    {
        _bytes += link.Directory.Length + link.Name.Length + link.Entry.Link.Length + 100;
        _byPath[Key(link.Directory, link.Name)] = link;
        return _bytes <= MaxBytes;
    }

    /// <summary>An entry of the same path has come: the last of a name wins.</summary>
    internal void Forget(byte[] directory, byte[] name)
    {
        if (_byPath.Count > 0) _byPath.Remove(Key(directory, name));
    }

    // A character per byte.
    private static string Key(byte[] directory, byte[] name) => $"{Encoding.Latin1.GetString(directory)}/{Encoding.Latin1.GetString(name)}";
}
