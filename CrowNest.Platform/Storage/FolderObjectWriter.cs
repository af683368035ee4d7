using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace CrowNest.Platform.Storage;

/// <summary>
/// One unfinished file of a <see cref="FolderObjectStore"/>: written and hashed while the content's next piece is read, locked while it
/// is written, and gone when it never gets it.
/// </summary>
internal sealed partial class FolderObjectWriter : IAsyncDisposable
{
    private const int PieceBytes = 512 * 1024;

    private readonly string _path;
    private readonly string _key;
    private readonly FileStream _file;
    private bool _published;

    /// <exception cref="ObjectStoreException">The file cannot be made.</exception>
    public FolderObjectWriter(string path, string key)
    {
        _path = path;
        _key = key;
        try
        {
            _file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        }
        catch (Exception exception) when (IsTheStores(exception))
        {
            throw NotStored(exception);
        }
    }

    public async Task<ObjectDigest> WriteAsync(Stream content, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var piece = ArrayPool<byte>.Shared.Rent(PieceBytes);
        var next = ArrayPool<byte>.Shared.Rent(PieceBytes);
        var writing = Task.CompletedTask;
        try
        {
            while (true)
            {
                var read = await content.ReadAtLeastAsync(
                    piece.AsMemory(0, PieceBytes), PieceBytes, throwOnEndOfStream: false, cancellationToken);
                await writing;
                if (read == 0)
                {
                    return new ObjectDigest(_file.Position, Convert.ToHexStringLower(hash.GetHashAndReset()));
                }

                var bytes = piece.AsMemory(0, read);
                writing = Task.Run(() => Write(bytes.Span, hash), CancellationToken.None);
                (piece, next) = (next, piece);
            }
        }
        finally
        {
            // The buffers are in its hands until then; a failure of it has passed, or the content's comes first.
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            ArrayPool<byte>.Shared.Return(piece);
            ArrayPool<byte>.Shared.Return(next);
        }
    }

    /// <summary>Makes the file durable under its final name, replacing what has that name.</summary>
    public void Publish(string root, string path)
    {
        try
        {
            _file.Flush(flushToDisk: true);
            var folder = Path.GetDirectoryName(path)!;
            MakeFolder(root, folder);
            // The lock would go with it: readers were refused until it is let go.
            _file.Dispose();
            File.Move(_path, path, overwrite: true);
            _published = true;
            SyncFolder(folder);
        }
        catch (Exception exception) when (IsTheStores(exception))
        {
            throw NotStored(exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (!_published)
            {
                File.Delete(_path);
            }
        }
        catch (Exception exception) when (IsTheStores(exception))
        {
            // The folder is away; whatever made the put fail says so. A later start removes the file.
        }

        await _file.DisposeAsync();
    }

    private static bool IsTheStores(Exception exception) => exception is IOException or UnauthorizedAccessException;

    private ObjectStoreException NotStored(Exception exception) => new($"{_key} cannot be stored.", exception);

    private void Write(ReadOnlySpan<byte> bytes, IncrementalHash hash)
    {
        try
        {
            _file.Write(bytes);
        }
        catch (Exception exception) when (IsTheStores(exception))
        {
            throw NotStored(exception);
        }

        hash.AppendData(bytes);
    }

    private static void MakeFolder(string root, string folder)
    {
        if (Directory.Exists(folder))
        {
            return;
        }

        if (folder.Length <= root.Length)
        {
            throw new DirectoryNotFoundException($"The folder of objects is away: {root}");
        }

        var parent = Path.GetDirectoryName(folder)!;
        MakeFolder(root, parent);
        Directory.CreateDirectory(folder);
        SyncFolder(parent);
    }

    /// <summary>A new name is durable when its folder is.</summary>
    private static void SyncFolder(string folder)
    {
        using var handle = Open(folder, OpenReadOnly | OpenDirectory | OpenCloseOnExec);
        if (handle.IsInvalid || Sync(handle) != 0)
        {
            throw new IOException($"{folder} cannot be synced: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    private const int OpenReadOnly = 0;
    private const int OpenCloseOnExec = 0x80000;

    /// <summary>Linux has two values of it.</summary>
    private static readonly int OpenDirectory = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000 : 0x10000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle handle);
}
