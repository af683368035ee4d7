namespace Aspire.Hosting.Running;

/// <summary>
/// What one resource has written, <c>logs/name.log</c>; the file before it is kept as <c>name.1.log</c>. At most twice
/// <see cref="MaximumBytes"/> of disk per resource.
/// </summary>
internal sealed class ResourceLogFile : IDisposable
{
    private const long MaximumBytes = 16 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly string _path;
    private StreamWriter _writer;
    private bool _disposed;

    public ResourceLogFile(string folder, string name)
    {
        _path = Path.Combine(folder, name + ".log");
        _writer = Open();
    }

    public void WriteLine(string line)
    {
        lock (_lock)
        {
            // Pipes of a killed process can deliver a last line after the application has been taken apart.
            if (_disposed)
                return;
            if (_writer.BaseStream.Position >= MaximumBytes)
            {
                _writer.Dispose();
                File.Move(_path, Path.ChangeExtension(_path, ".1.log"), overwrite: true);
                _writer = Open();
            }
            _writer.WriteLine(line);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _writer.Dispose();
        }
    }

    private StreamWriter Open() => new(new FileStream(_path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
}
