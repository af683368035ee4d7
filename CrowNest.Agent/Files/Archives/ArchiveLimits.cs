using CrowNest.Agent.Http;

namespace CrowNest.Agent.Files.Archives;

/// <summary>
/// How much an archive may unpack to (docs/reference/api.md 10.6): bytes of the tar stream besides its headers, and entries.
/// </summary>
internal sealed record ArchiveLimits(long MaxBytes, long MaxEntries)
{
    internal const long DefaultBytes = 2L << 30;
    internal const long DefaultEntries = 200_000;

    internal AgentException TooManyBytes() => new(AgentError.ArchiveTooLarge($"the archive unpacks to more than {MaxBytes} bytes"));

    internal AgentException TooManyEntries() => new(AgentError.ArchiveTooLarge($"the archive has more than {MaxEntries} entries"));
}
