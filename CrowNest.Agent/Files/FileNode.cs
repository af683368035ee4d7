namespace CrowNest.Agent.Files;

/// <summary>What the contract tells apart, and what it has no word for.</summary>
internal enum NodeKind
{
    /// <summary>A FIFO, a socket or a device.</summary>
    Special,
    File,
    Directory,
    Link,
}

/// <summary>What statx(2) says of one inode. Times are Unix time.</summary>
internal readonly record struct FileNode(
    ulong Inode, ushort FullMode, uint Uid, uint Gid, long Size, long ModifiedSeconds, uint ModifiedNanoseconds)
{
    private static readonly long s_first = DateTimeOffset.MinValue.ToUnixTimeSeconds(), s_last = DateTimeOffset.MaxValue.ToUnixTimeSeconds();

    internal NodeKind Kind => (FullMode & 0xF000) switch
    {
        0x8000 => NodeKind.File,
        0x4000 => NodeKind.Directory,
        0xA000 => NodeKind.Link,
        _ => NodeKind.Special,
    };

    /// <summary>rwx for owner, group and others.</summary>
    internal uint Permissions => FullMode & 0x1FFu;

    /// <summary>Milliseconds, of the years 1 to 9999: touch(1) takes any, and an answer's timestamps have no others.</summary>
    internal long ModifiedAt => Math.Clamp(ModifiedSeconds, s_first, s_last) * 1000 + ModifiedNanoseconds / 1_000_000;

    /// <summary>Whether the mode lets this user write. Says nothing of what a link leads to.</summary>
    internal bool MayBeWrittenBy(uint uid, uint gid) =>
        (FullMode & (Uid == uid ? 0x80 : Gid == gid ? 0x10 : 0x02)) != 0;
}
