namespace CrowNest.Contracts;

/// <summary>The 27 scopes of API keys, in the contract's order (docs/reference/api.md 2.4).</summary>
public static class Scopes
{
    public const string SandboxCreate = "sandbox:create";
    public const string SandboxRead = "sandbox:read";
    public const string SandboxKill = "sandbox:kill";
    public const string SandboxExtend = "sandbox:extend";
    public const string CommandRun = "command:run";
    public const string CommandRead = "command:read";
    public const string CommandCancel = "command:cancel";
    public const string FileRead = "file:read";
    public const string FileWrite = "file:write";
    public const string ArtifactCreate = "artifact:create";
    public const string ArtifactRead = "artifact:read";
    public const string ArtifactDelete = "artifact:delete";
    public const string WorkspaceRunCreate = "workspace_run:create";
    public const string WorkspaceRunRead = "workspace_run:read";
    public const string WorkspaceRunCancel = "workspace_run:cancel";
    public const string ApiKeyRead = "api_key:read";
    public const string ApiKeyRevoke = "api_key:revoke";
    public const string ProjectCreate = "project:create";

    /// <summary>Every scope that a key may hold.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        SandboxCreate, SandboxRead, SandboxKill, SandboxExtend, CommandRun, CommandRead, CommandCancel, "code:run", FileRead,
        FileWrite, ArtifactCreate, ArtifactRead, ArtifactDelete, "preview:create", "preview:read", "preview:revoke",
        WorkspaceRunCreate, WorkspaceRunRead, WorkspaceRunCancel, "backup:create", "backup:read", "backup:restore",
        "backup:delete", "usage:read", ApiKeyRead, ApiKeyRevoke, ProjectCreate,
    ];
}
