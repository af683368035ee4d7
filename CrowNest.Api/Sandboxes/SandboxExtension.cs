using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Sandboxes;

/// <summary><c>POST /v1/sandboxes/{id}/extend</c> (docs/reference/api.md 4.7, OP-2).</summary>
internal sealed class SandboxExtension(
    SandboxStore store, IOptions<SandboxOptions> options, IOptions<ApiOptions> api, TimeProvider time)
{
    /// <summary>Resets the lifetime; a sandbox that has ended, or is past its deadline, stays so.</summary>
    /// <param name="read">Reads the body: what is wrong with it matters only once the sandbox is known to be the caller's.</param>
    public async Task<Sandbox> ExtendAsync(
        Caller caller, string id, Func<ValueTask<ExtendSandboxRequest>> read, CancellationToken cancellationToken)
    {
        if (!options.Value.AllowExtend)
        {
            throw new ApiException(ErrorCodes.FeatureNotEnabled, "This deployment does not extend sandboxes.");
        }

        var row = await FindAsync(caller.Ownership, id, cancellationToken);
        var request = await read();
        var now = time.GetUtcNow();
        var ttlMs = SandboxRules.ExtendTtl(request.TtlMs, now - row.CreatedAt, api.Value.Limits(caller.Plan));
        if (!await store.ExtendAsync(caller.Ownership, id, ttlMs, now, cancellationToken))
        {
            row = await FindAsync(caller.Ownership, id, cancellationToken);
            throw SandboxReadiness.Gone(SandboxStates.IsLive(row.State) ? SandboxStatus.Expiring : row.State);
        }

        return (await FindAsync(caller.Ownership, id, cancellationToken)).ToSandbox();
    }

    private async Task<SandboxRow> FindAsync(Ownership owner, string id, CancellationToken cancellationToken) =>
        await store.FindAsync(owner, id, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
}
