using CrowNest.Api.Auth;
using CrowNest.Api.Files;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Nodes;

namespace CrowNest.Api.Artifacts;

/// <summary><c>POST …/files/from-artifact</c> (docs/reference/stateset.md 3.2).</summary>
internal static class ArtifactImport
{
    public static async Task<ImportedArtifact> ImportAsync(
        string sandboxId, Caller caller, HttpContext context, SandboxFiles files, SandboxNode node, NodeClient client, ArtifactStore store,
        TimeProvider time, CancellationToken cancellationToken)
    {
        var sandbox = await files.FindAsync(caller, sandboxId, cancellationToken);
        var request = await RequestBody.ReadAsync<ImportArtifactRequest>(context, cancellationToken);
        if (request.ArtifactId is not { } artifactId)
        {
            throw ApiException.InvalidField("artifactId", "'artifactId' is required.");
        }

        var path = FileRules.Path("path", request.Path);
        var artifact = await FindAsync();
        var workerId = await files.ReadyAsync(sandbox, cancellationToken);
        var import = new ImportObject(
            artifact.ObjectKey, artifact.Sha256!, artifact.SizeBytes!.Value, path, request.CreateParents ?? true, request.Overwrite ?? true);
        AgentFile file;
        try
        {
            file = await node.CallAsync(
                sandbox.Id, workerId, w => client.ImportAsync(w, sandbox.Id, import, cancellationToken), cancellationToken);
        }
        catch (ApiException e) when (e.Code == ErrorCodes.DownloadExportFailed)
        {
            // Deleted or expired on the way: missing rightly, and a 404 as a moment later.
            await FindAsync();
            throw;
        }

        await files.CountWrittenAsync(sandbox, file.SizeBytes, CancellationToken.None);
        return new ImportedArtifact(SandboxFiles.ToStat(file), artifact.Id, artifact.Sha256!);

        async Task<ArtifactRow> FindAsync() =>
            await store.FindAsync(caller.Ownership, artifactId, time.GetUtcNow(), cancellationToken)
            ?? throw ApiException.NotFound("Artifact");
    }
}
