namespace CrowNest.ServiceDefaults.Health;

/// <summary>Which question a health check answers; every check answers for <c>/health</c>.</summary>
public static class HealthTags
{
    /// <summary>The process itself works: <c>/alive</c>. Never something outside it, whose loss no restart would mend.</summary>
    public const string Live = "live";

    /// <summary>Without it the service can serve nobody: <c>/healthz</c>.</summary>
    public const string Serving = "serving";
}
