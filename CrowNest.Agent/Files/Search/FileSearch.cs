using System.Text;
using System.Text.RegularExpressions;

namespace CrowNest.Agent.Files.Search;

/// <summary>One search under way. Runs on <see cref="FileThreads"/>, a slice at a time, so that others have their turn.</summary>
internal sealed class FileSearch : IDisposable
{
    private static readonly TimeSpan s_slice = TimeSpan.FromMilliseconds(20);

    private readonly TreeWalk _walk;
    private readonly string _prefix;
    private readonly Glob? _glob;
    private readonly LineScanner? _scanner;
    private readonly int _maxResults;
    private readonly TimeSpan _limit;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly byte[] _buffer = FileBuffer.Rent();
    private readonly List<SearchMatch> _matches = [];
    private Descriptor? _file;
    private FileEntry? _entry;
    private long _offset;
    private int _held;
    private string? _stoppedBy;

    internal FileSearch(
        Workspace workspace, FilePath path, int maxDepth, Glob? glob, LinePattern? pattern, int maxResults, TimeSpan limit,
        TimeProvider time)
    {
        // A directory that the user may not read has nothing to find for the user.
        _walk = new TreeWalk(workspace.OpenDirectory(path), maxDepth, (_, _) => { });
        _prefix = path.Absolute + "/";
        _glob = glob;
        _scanner = pattern is null ? null : new LineScanner(pattern);
        _maxResults = maxResults;
        _limit = limit;
        _time = time;
        _start = time.GetTimestamp();
    }

    internal SearchAnswer Answer => new(_matches, _stoppedBy is not null, _stoppedBy);

    /// <summary>Searches for a slice of time; true when the search is over.</summary>
    internal bool Go()
    {
        long slice = _time.GetTimestamp();
        try
        {
            while (_time.GetElapsedTime(slice) < s_slice)
            {
                if (_time.GetElapsedTime(_start) > _limit) return StopBy("time");
                if (_file is not null) ScanBlock();
                else if (!LookAtNext()) return true;
                if (_stoppedBy is not null) return true;
            }
            return false;
        }
        catch (RegexMatchTimeoutException)
        {
            return StopBy("time");
        }
    }

    public void Dispose()
    {
        _file?.Dispose();
        _walk.Dispose();
        FileBuffer.Return(_buffer);
    }

    private bool LookAtNext()
    {
        if (!_walk.Next(out var entry)) return false;
        var name = Encoding.UTF8.GetString(entry.Name);
        if (_glob is not null && !_glob.Matches(name)) return true;
        var node = entry.Node;
        _entry = new FileEntry(
            name, _prefix + Encoding.UTF8.GetString(entry.Path), FileStat.TypeOf(node), FileStat.SizeOf(node), node.ModifiedAt);
        if (_scanner is null) Add(null);
        else if (node.Kind == NodeKind.File && node.Size > 0) Open(entry);
        return true;
    }

    private void Open(in TreeEntry entry)
    {
        int held = FileCalls.Open(entry.Directory, entry.Name, FileCalls.O_PATH | FileCalls.O_NOFOLLOW);
        if (held < 0) return;
        using var found = new Descriptor(held);
        // Vanished, replaced by something else, or not for this user to read: nothing that could match.
        if (FileCalls.Stat(held, out var node) < 0 || node.Kind != NodeKind.File) return;
        int fd = FileCalls.Reopen(held, FileCalls.O_RDONLY);
        if (fd < 0) return;
        _file = new Descriptor(fd);
        _offset = 0;
        _held = 0;
        _scanner!.Begin();
    }

    private void ScanBlock()
    {
        int n = FileCalls.Read(_file!.Fd, _buffer.AsSpan(_held), _offset);
        bool isLast = n <= 0;
        if (n > 0)
        {
            _offset += n;
            _held += n;
        }
        int left = _maxResults - _matches.Count;
        int used = _scanner!.Scan(_buffer.AsSpan(0, _held), isLast, left + 1);
        if (used >= 0 && !isLast)
        {
            _buffer.AsSpan(used, _held - used).CopyTo(_buffer);
            _held -= used;
            return;
        }
        if (used >= 0)
        {
            foreach (var match in _scanner.Matches)
            {
                Add(match);
                if (_stoppedBy is not null) break;
            }
        }
        _file.Dispose();
        _file = null;
    }

    private void Add(LineMatch? match)
    {
        if (_matches.Count == _maxResults)
        {
            _stoppedBy = "results";
            return;
        }
        var e = _entry!;
        _matches.Add(new SearchMatch(
            e.Name, e.Path, e.Type, e.SizeBytes, e.ModifiedAt, match?.Line, match?.Column, match?.Preview));
    }

    private bool StopBy(string reason)
    {
        _stoppedBy = reason;
        return true;
    }
}
