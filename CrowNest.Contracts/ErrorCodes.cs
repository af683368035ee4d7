namespace CrowNest.Contracts;

/// <summary>Stable error codes of the envelope (docs/reference/api.md 2.6) that this version produces.</summary>
public static class ErrorCodes
{
    public const string InvalidRequest = "invalid_request";
    public const string SandboxTtlExceeded = "sandbox_ttl_exceeded";
    public const string ReservedEnvKey = "reserved_env_key";
    public const string MissingIdempotencyKey = "missing_idempotency_key";
    public const string InvalidMetadataKey = "invalid_metadata_key";
    public const string InvalidMetadataValue = "invalid_metadata_value";
    public const string MetadataTooLarge = "metadata_too_large";
    public const string MetadataTooManyKeys = "metadata_too_many_keys";
    public const string UnsupportedRuntimeOption = "unsupported_runtime_option";
    public const string PathOutsideWorkspace = "path_outside_workspace";
    public const string InvalidFileEncoding = "invalid_file_encoding";
    public const string PathIsDirectory = "path_is_directory";
    public const string PathNotDirectory = "path_not_directory";
    public const string UploadChecksumMismatch = "upload_checksum_mismatch";
    public const string UploadSizeMismatch = "upload_size_mismatch";
    public const string ArchiveInvalid = "archive_invalid";
    public const string Unauthorized = "unauthorized";
    public const string InvalidApiKey = "invalid_api_key";
    public const string Forbidden = "forbidden";
    public const string OrgSuspended = "org_suspended";
    public const string FeatureNotEnabled = "feature_not_enabled";
    public const string NotFound = "not_found";
    public const string FileNotFound = "file_not_found";
    public const string ParentDirectoryNotFound = "parent_directory_not_found";
    public const string UploadNotFound = "upload_not_found";
    public const string IdempotencyKeyReused = "idempotency_key_reused";
    public const string IdempotencyRequestInProgress = "idempotency_request_in_progress";
    public const string Conflict = "conflict";
    public const string StreamGap = "stream_gap";
    public const string FileAlreadyExists = "file_already_exists";
    public const string DirectoryNotEmpty = "directory_not_empty";
    public const string UploadConflict = "upload_conflict";
    public const string UploadIncomplete = "upload_incomplete";
    public const string SandboxDestroyed = "sandbox_destroyed";
    public const string UploadExpired = "upload_expired";
    public const string FileTooLarge = "file_too_large";
    public const string ArchiveTooLarge = "archive_too_large";
    public const string RateLimited = "rate_limited";
    public const string QuotaExceeded = "quota_exceeded";
    public const string InternalError = "internal_error";
    public const string RuntimeError = "runtime_error";
    public const string DownloadExportFailed = "download_export_failed";
}
