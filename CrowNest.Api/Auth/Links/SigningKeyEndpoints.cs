using CrowNest.Api.Http;
using CrowNest.Api.SignIn;

namespace CrowNest.Api.Auth.Links;

/// <summary>Rotation by command (docs/protocols.md 7).</summary>
internal static partial class SigningKeyEndpoints
{
    private sealed record RotateRequest(bool? Revoke = null);

    private sealed record Rotated(string KeyId, DateTimeOffset CreatedAt, bool Revoked);

    public static void MapSigningKeys(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGroup("/internal").LoopbackOnly().ExcludeFromDescription()
            .MapPost("/signing-keys/rotate", RotateAsync).RequireDeploymentSecret();

    private static async Task<Rotated> RotateAsync(
        HttpContext context, SigningKeys keys, TimeProvider time, ILogger<SigningKeys> logger, CancellationToken cancellationToken)
    {
        var request = await RequestBody.ReadAsync<RotateRequest>(context, cancellationToken, optional: true);
        var revoke = request.Revoke ?? false;
        var key = await keys.RotateAsync(time.GetUtcNow(), revoke, cancellationToken);
        LogRotated(logger, key.Id, revoke);
        return new Rotated(key.Id, key.CreatedAt, revoke);
    }

    [LoggerMessage(1312, LogLevel.Warning, "By command, links are signed with {KeyId} from now on; earlier ones revoked: {Revoked}.")]
    private static partial void LogRotated(ILogger logger, string keyId, bool revoked);
}
