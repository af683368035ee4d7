using Xunit;

namespace CrowNest.Testing;

/// <summary>
/// The S3 server of a test run, where <c>CROWNEST_TEST_S3_ENDPOINT</c>, <c>_BUCKET</c>, <c>_ACCESS_KEY</c> and <c>_SECRET_KEY</c> name one;
/// <c>eng/s3.sh</c> starts it, and <c>./test.sh</c> does so for the projects that mention this class.
/// </summary>
public static class S3Server
{
    public static bool IsThere => Setting("ENDPOINT") is not null;

    public static string? Setting(string name) =>
        Environment.GetEnvironmentVariable($"CROWNEST_TEST_S3_{name}") is { Length: > 0 } value ? value : null;
}

/// <summary>A test that needs <see cref="S3Server"/>; that continuous integration has one is a test of its own (ObjectStoreTests).</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class S3FactAttribute : FactAttribute
{
    public S3FactAttribute()
    {
        if (!S3Server.IsThere)
            Skip = "There is no S3 server; ./test.sh starts one.";
    }
}
