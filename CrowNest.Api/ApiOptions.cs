using Microsoft.Extensions.Options;

namespace CrowNest.Api;

/// <summary>Settings of the API, section <c>Api</c>. Durations are <c>hh:mm:ss</c>.</summary>
internal sealed class ApiOptions
{
    /// <summary>Where it listens unless the host says otherwise (<c>ASPNETCORE_URLS</c>, set by the AppHost).</summary>
    public string ListenUrl { get; set; } = "http://127.0.0.1:8787";

    /// <summary>Scheme, host, port and optional path of every URL in a response (H17). Default: the address it listens on.</summary>
    public string? PublicBaseUrl { get; set; }

    /// <summary>Where the dashboard is; sign-in links point there.</summary>
    public string DashboardUrl { get; set; } = "http://127.0.0.1:8788";

    /// <summary>
    /// Requests a minute for one credential, also the size of a burst. The contract's original allows 120, which would throttle an SDK
    /// that polls every 500 ms (H20); see docs/decisions/rate-limit.md.
    /// </summary>
    public int RateLimitPerMinute { get; set; } = 6000;

    /// <summary>
    /// For development: <c>x-crownest-org-id</c>, <c>x-crownest-user-id</c> and <c>x-crownest-role</c> let a person in on the routes by
    /// which the CLI lists and makes keys (docs/reference/api.md 2.3), over direct loopback connections only. Whoever can open one is then
    /// an owner.
    /// </summary>
    public bool AllowHumanSessionHeaders { get; set; }

    /// <summary>Plan of an organization that the first start creates.</summary>
    public string DefaultPlan { get; set; } = "builder";

    /// <summary>Limits by plan name (docs/reference/api.md 2.16).</summary>
    public Dictionary<string, PlanLimits> Plans { get; set; } = PlanLimits.ContractDefaults();

    /// <summary>
    /// Size of a sandbox when its creator does not say, and the range they may choose from (docs/reference/stateset.md 2).
    /// </summary>
    public ResourceRange Resources { get; set; } = new();

    /// <summary>docs/reference/api.md 2.15.</summary>
    public TimeSpan DownloadUrlLifetime { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>A browser's session in the dashboard.</summary>
    public TimeSpan SessionLifetime { get; set; } = TimeSpan.FromHours(12);

    /// <summary>The session with which <c>up.sh</c> runs the first sandbox.</summary>
    public TimeSpan LauncherSessionLifetime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a one-time link to the dashboard waits for its use.</summary>
    public TimeSpan SignInLinkLifetime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>OP-6: when a held response sends its status and headers.</summary>
    public TimeSpan EarlyHeadersAfter { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Silence after which a stream sends a heartbeat and a held response a newline (docs/reference/api.md 2.14, OP-6).</summary>
    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// How long an upload or a download may stand still before it is broken off; a slow one may take as long as it likes.
    /// </summary>
    public TimeSpan TransferStallLimit { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>Signed links.</summary>
    public SignedUrlSettings SignedUrls { get; set; } = new();

    /// <summary>The limits of a plan; an unknown one gets those of <c>free</c> (docs/reference/api.md 2.16: fail closed).</summary>
    public PlanLimits Limits(string plan) => Plans.GetValueOrDefault(plan) ?? Plans[PlanLimits.Free];
}

/// <summary>Numbers of a plan (docs/reference/api.md 2.16). Only what this version enforces.</summary>
internal sealed class PlanLimits
{
    public const string Free = "free";

    private const long Minute = 60_000;
    private const long Day = 24 * 60 * Minute;

    /// <summary>Most a new sandbox may ask for as <c>ttlMs</c>.</summary>
    public long CreateTtlMs { get; set; }

    /// <summary>Most that one extend may set.</summary>
    public long ExtendTtlMs { get; set; }

    /// <summary>Longest time from creation to deadline, extends included.</summary>
    public long SessionMs { get; set; }

    /// <summary>Live sandboxes of the organization.</summary>
    public int ConcurrentSandboxes { get; set; }

    /// <summary>How long artifacts are kept.</summary>
    public int ArtifactRetentionDays { get; set; } = 7;

    /// <summary>How long a command's output is kept after its end.</summary>
    public int LogRetentionDays { get; set; } = 7;

    public static Dictionary<string, PlanLimits> ContractDefaults() => new(StringComparer.OrdinalIgnoreCase)
    {
        [Free] = Of(createTtl: 30 * Minute, extendTtl: 60 * Minute, session: 60 * Minute, sandboxes: 2, retentionDays: 7),
        ["builder"] = Of(createTtl: 60 * Minute, extendTtl: Day, session: Day, sandboxes: 25, retentionDays: 30),
        ["scale"] = Of(createTtl: 120 * Minute, extendTtl: 3 * Day, session: 3 * Day, sandboxes: 100, retentionDays: 90),
        ["enterprise"] = Of(createTtl: 120 * Minute, extendTtl: 7 * Day, session: 7 * Day, sandboxes: 250, retentionDays: 365),
    };

    private static PlanLimits Of(long createTtl, long extendTtl, long session, int sandboxes, int retentionDays) => new()
    {
        CreateTtlMs = createTtl,
        ExtendTtlMs = extendTtl,
        SessionMs = session,
        ConcurrentSandboxes = sandboxes,
        ArtifactRetentionDays = retentionDays,
        LogRetentionDays = retentionDays,
    };
}

/// <summary>Keys that sign links (docs/reference/api.md 2.15).</summary>
internal sealed class SignedUrlSettings
{
    /// <summary>A key signs for so long; its links live on until they expire.</summary>
    public TimeSpan RotateAfter { get; set; } = TimeSpan.FromDays(30);
}

/// <summary>Sizes of sandboxes.</summary>
internal sealed class ResourceRange
{
    public double DefaultCpus { get; set; } = 1;
    public double MinCpus { get; set; } = 0.1;
    public double MaxCpus { get; set; } = 8;

    /// <summary>MiB, like the two below.</summary>
    public int DefaultMemoryMb { get; set; } = 1024;
    public int MinMemoryMb { get; set; } = 128;
    public int MaxMemoryMb { get; set; } = 16_384;
}

/// <summary>Settings that all processes of a deployment share, section <c>CrowNest</c>.</summary>
internal sealed class ApiDeploymentOptions
{
    /// <summary>At least 32 characters: bearer of the internal API, root of derived keys.</summary>
    public string DeploymentSecret { get; set; } = "";
}

/// <summary>Refuses to start with settings that could only fail later; tells all that is wrong at once.</summary>
internal sealed class ApiOptionsValidator : IValidateOptions<ApiOptions>
{
    /// <summary>A century, so that no date leaves the calendar.</summary>
    private const int MaxRetentionDays = 36_525;

    public ValidateOptionsResult Validate(string? name, ApiOptions options)
    {
        var wrong = new List<string>();
        Check(IsHttpUrl(options.ListenUrl), "Api:ListenUrl must be an http or https URL.");
        Check(options.PublicBaseUrl is null || IsHttpUrl(options.PublicBaseUrl),
            "Api:PublicBaseUrl must be an http or https URL without query.");
        Check(IsHttpUrl(options.DashboardUrl), "Api:DashboardUrl must be an http or https URL.");
        Check(options.RateLimitPerMinute > 0, "Api:RateLimitPerMinute must be positive.");
        Check(options.Plans.ContainsKey(PlanLimits.Free), "Api:Plans must have the plan 'free'.");
        Check(options.Plans.ContainsKey(options.DefaultPlan), $"Api:DefaultPlan '{options.DefaultPlan}' is not in Api:Plans.");
        foreach (var (plan, limits) in options.Plans)
        {
            Check(limits is { CreateTtlMs: > 0, ExtendTtlMs: > 0, SessionMs: > 0, ConcurrentSandboxes: >= 0 },
                $"Api:Plans:{plan} needs positive CreateTtlMs, ExtendTtlMs and SessionMs.");
            Check(limits is { ArtifactRetentionDays: > 0 and <= MaxRetentionDays, LogRetentionDays: > 0 and <= MaxRetentionDays },
                $"Api:Plans:{plan} needs ArtifactRetentionDays and LogRetentionDays from 1 to {MaxRetentionDays}.");
        }

        var sizes = options.Resources;
        Check(sizes.MinCpus > 0 && sizes.MinCpus <= sizes.DefaultCpus && sizes.DefaultCpus <= sizes.MaxCpus,
            "Api:Resources: MinCpus <= DefaultCpus <= MaxCpus must hold.");
        Check(sizes.MinMemoryMb > 0 && sizes.MinMemoryMb <= sizes.DefaultMemoryMb && sizes.DefaultMemoryMb <= sizes.MaxMemoryMb,
            "Api:Resources: MinMemoryMb <= DefaultMemoryMb <= MaxMemoryMb must hold.");
        Check(options.DownloadUrlLifetime > TimeSpan.Zero && options.SessionLifetime > TimeSpan.Zero
            && options.LauncherSessionLifetime > TimeSpan.Zero && options.SignInLinkLifetime > TimeSpan.Zero
            && options.EarlyHeadersAfter > TimeSpan.Zero && options.HeartbeatInterval > TimeSpan.Zero
            && options.TransferStallLimit > TimeSpan.Zero && options.SignedUrls.RotateAfter > TimeSpan.Zero,
            "Api: every duration must be positive.");
        Check(options.DownloadUrlLifetime <= Auth.Links.SignedUrls.LongestLifetime,
            $"Api:DownloadUrlLifetime may be at most {Auth.Links.SignedUrls.LongestLifetime}.");
        return wrong.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(wrong);

        void Check(bool holds, string otherwise)
        {
            if (!holds)
            {
                wrong.Add(otherwise);
            }
        }
    }

    private static bool IsHttpUrl(string? value) =>
        Uri.TryCreate(value, UriKind.Absolute, out var url) && url.Scheme is ("http" or "https") && url.Query == "" && url.Fragment == "";
}

/// <inheritdoc cref="ApiOptionsValidator"/>
internal sealed class DeploymentOptionsValidator : IValidateOptions<ApiDeploymentOptions>
{
    private const int MinLength = 32;

    public ValidateOptionsResult Validate(string? name, ApiDeploymentOptions options) =>
        options.DeploymentSecret.Length >= MinLength
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail($"CrowNest__DeploymentSecret must be set to at least {MinLength} random characters.");
}
