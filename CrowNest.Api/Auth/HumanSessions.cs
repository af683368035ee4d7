using CrowNest.Api.Http;
using CrowNest.Api.SignIn;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;
using Npgsql;

namespace CrowNest.Api.Auth;

/// <summary>
/// The headers by which the CLI's <c>keys</c> commands name a person (docs/reference/api.md 2.3). They are no secret, so they count only
/// where <see cref="ApiOptions.AllowHumanSessionHeaders"/> says so, over a direct loopback connection, and for a user whom the database
/// knows; every use is logged.
/// </summary>
internal sealed partial class HumanSessions(NpgsqlDataSource database, IOptions<ApiOptions> options, ILogger<HumanSessions> logger)
{
    private const string OrgHeader = "x-crownest-org-id";
    private const string UserHeader = "x-crownest-user-id";
    private const string RoleHeader = "x-crownest-role";
    private static readonly string[] Roles = ["owner", "admin"];
    private static readonly string[] AllScopes = [.. Scopes.All];

    /// <summary>The person whom the request's headers name; null when they do not count or name nobody.</summary>
    /// <exception cref="ApiException">403 <c>forbidden</c>: neither <c>owner</c> nor <c>admin</c>.</exception>
    public async Task<Credential?> FindAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var headers = context.Request.Headers;
        var (org, user, role) = (headers[OrgHeader].ToString(), headers[UserHeader].ToString(), headers[RoleHeader].ToString());
        if (!options.Value.AllowHumanSessionHeaders || !InternalAccess.IsDirectLoopback(context)
            || !Ids.IsValid(org, Ids.Organization) || !Ids.IsValid(user, Ids.User))
        {
            return null;
        }

        if (!Roles.Contains(role))
        {
            throw new ApiException(ErrorCodes.Forbidden, "Only an owner or admin may do this.");
        }

        await using var sql = database.CreateCommand("""
            SELECT o.plan, o.suspended_at IS NOT NULL FROM users u JOIN organizations o ON o.id = u.org_id
            WHERE u.id = @user AND u.org_id = @org AND u.role = @role
            """);
        sql.Parameters.AddWithValue("user", user);
        sql.Parameters.AddWithValue("org", org);
        sql.Parameters.AddWithValue("role", role);
        await using var reader = await sql.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            return null;
        }

        LogUsed(user, org, context.Request.Method, context.Request.Path);
        return new Credential(new Caller(user, org, user, reader.GetString(0), AllScopes, null), reader.GetBoolean(1));
    }

    [LoggerMessage(1220, LogLevel.Warning, "Human session headers let {UserId} of {OrgId} in: {Method} {Path}")]
    private partial void LogUsed(string userId, string orgId, string method, string path);
}
