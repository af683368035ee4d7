using System.Security.Cryptography;
using CrowNest.Contracts;
using CrowNest.Platform.WorkspaceRuns.Evidence;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.WorkspaceRuns.Evidence;

/// <summary>Which key signs evidence, and which ones have.</summary>
internal sealed class EvidenceKeys(EvidenceKeyStore store, IOptions<ApiDeploymentOptions> deployment, TimeProvider time)
{
    /// <summary>Every key whose signatures are good.</summary>
    public Task<List<EvidenceKeyRow>> ListAsync(CancellationToken cancellationToken) => store.ListAsync(cancellationToken);

    /// <summary>The private key that signs now, made when there is none or when the deployment has another secret; dispose it.</summary>
    public async Task<(string Id, ECDsa Key)> OpenCurrentAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            var newest = (await store.ListAsync(cancellationToken)).FirstOrDefault();
            if (newest is { RetiredAt: null })
            {
                var key = EvidenceKey.Derive(deployment.Value.DeploymentSecret, newest.Id);
                if (key.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(newest.PublicKey))
                {
                    return (newest.Id, key);
                }

                key.Dispose();
            }

            if (attempt > 2)
            {
                throw new InvalidOperationException("Instances of the API disagree about the deployment's secret.");
            }

            await AddAsync(newest is { RetiredAt: null } ? newest.Id : null, revoke: false, cancellationToken);
        }
    }

    /// <summary>A new key signs from now on.</summary>
    /// <param name="revoke">Earlier keys are no longer listed: what they have signed is not believed any more.</param>
    /// <returns>Id of the key that signs now.</returns>
    public async Task<string> RotateAsync(bool revoke, CancellationToken cancellationToken)
    {
        var (current, key) = await OpenCurrentAsync(cancellationToken);
        key.Dispose();
        await AddAsync(current, revoke, cancellationToken);
        return (await store.ListAsync(cancellationToken))[0].Id;
    }

    private async Task AddAsync(string? replaces, bool revoke, CancellationToken cancellationToken)
    {
        var id = Ids.New(Ids.EvidenceKey);
        using var key = EvidenceKey.Derive(deployment.Value.DeploymentSecret, id);
        var row = new EvidenceKeyRow(id, key.ExportSubjectPublicKeyInfo(), time.GetUtcNow(), RetiredAt: null);
        await store.RotateAsync(row, replaces, revoke, cancellationToken);
    }
}
