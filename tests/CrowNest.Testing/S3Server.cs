using System.Runtime.CompilerServices;
using Xunit;

namespace CrowNest.Testing;

/// <summary>
/// The S3 server of a test run, where <c>CROWNEST_TEST_S3_ENDPOINT</c>, <c>_BUCKET</c>, <c>_ACCESS_KEY</c> and <c>_SECRET_KEY</c> name one;
/// <c>eng/s3.sh</c> starts it, and <c>./test.sh</c> does so for the projects that mention this class.
/// </summary>
public static class S3Server
{
    public static bool IsThere => Setting("ENDPOINT") is not null;

    /// <summary>Whether its absence is a failure: on continuous integration, unless leaving it out is wanted.</summary>
    public static bool IsDemanded =>
        Environment.GetEnvironmentVariable("CI") is "true" && Environment.GetEnvironmentVariable("CROWNEST_TEST_S3") is not "off";

    public static string? Setting(string name) =>
        Environment.GetEnvironmentVariable($"CROWNEST_TEST_S3_{name}") is { Length: > 0 } value ? value : null;
}

/// <summary>A test that needs <see cref="S3Server"/>; skipped without one where it is not demanded.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class S3FactAttribute : FactAttribute
{
    internal const string Reason = "There is no S3 server; ./test.sh starts one.";

    public S3FactAttribute([CallerFilePath] string? sourceFilePath = null, [CallerLineNumber] int sourceLineNumber = -1)
        : base(sourceFilePath, sourceLineNumber)
    {
        if (!S3Server.IsThere && !S3Server.IsDemanded)
            Skip = Reason;
    }
}

/// <inheritdoc cref="S3FactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
public sealed class S3TheoryAttribute : TheoryAttribute
{
    public S3TheoryAttribute([CallerFilePath] string? sourceFilePath = null, [CallerLineNumber] int sourceLineNumber = -1)
        : base(sourceFilePath, sourceLineNumber)
    {
        if (!S3Server.IsThere && !S3Server.IsDemanded)
            Skip = S3FactAttribute.Reason;
    }
}
