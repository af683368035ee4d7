namespace CrowNest.Contracts;

/// <summary>Fixed limits of the contract; plan limits are configuration (docs/reference/api.md 2.16).</summary>
public static class Limits
{
    /// <summary>docs/reference/api.md 2.2: bytes of a JSON body.</summary>
    public const int JsonBodyBytes = 1024 * 1024;

    /// <summary>docs/reference/api.md 2.7.</summary>
    public const int DefaultPageSize = 50;
    public const int MaxPageSize = 500;
    public const int DefaultSeqPageSize = 100;

    /// <summary>docs/reference/api.md 2.8.</summary>
    public const int MaxIdempotencyKeyLength = 255;

    /// <summary>docs/reference/api.md 2.12.</summary>
    public const int MetadataKeys = 16;
    public const int MetadataKeyLength = 64;
    public const int MetadataValueLength = 512;
    public const int MetadataBytes = 4096;

    /// <summary>docs/reference/api.md 5.2.</summary>
    public const int CommandBytes = 65_536;
    public const long DefaultRunTimeoutMs = 60_000;
    public const long MaxRunTimeoutMs = 600_000;
    public const int CollectEntries = 32;

    /// <summary>docs/reference/api.md 10.3.</summary>
    public const long DefaultWorkspaceRunTimeoutMs = 600_000;
    public const long MaxWorkspaceRunTimeoutMs = 3_600_000;

    /// <summary>docs/reference/api.md 5.1: captured bytes per stream, first bytes kept.</summary>
    public const int InlineOutputBytes = 262_144;

    /// <summary>docs/reference/api.md 5.6.</summary>
    public const int LogChunkBytes = 16 * 1024;
    public const long RetainedLogBytes = 10 * 1024 * 1024;

    /// <summary>docs/reference/api.md 2.16: bytes of a file's content within JSON, decoded.</summary>
    public const int DirectFileBytes = 262_144;

    /// <summary>docs/reference/api.md 7.2, docs/reference/stateset.md 3.1.</summary>
    public const int NameLength = 255;
    public const int RemotePathBytes = 1024;
    public const int ContentTypeLength = 255;

    /// <summary>docs/reference/stateset.md 3.3: longest lifetime of a link, in seconds.</summary>
    public const long MaxLinkSeconds = 604_800;

    /// <summary>Root of every workspace path (docs/reference/api.md 2.13).</summary>
    public const string Workspace = "/workspace";
}
