namespace CrowNest.Agent.Tests.Harness;

/// <summary>The published agent and launcher, built once per test run when they are not up to date.</summary>
internal static class AgentBinaries
{
    private static readonly Lazy<Task<string>> s_directory = new(BuildAsync);

    /// <summary>The checkout that the tests were built in.</summary>
    internal static string Checkout { get; } = FindCheckout();

    /// <summary>artifacts/agent of this checkout.</summary>
    internal static Task<string> DirectoryAsync() => s_directory.Value;

    private static async Task<string> BuildAsync()
    {
        await Shell.RunAsync(Path.Combine(Checkout, "eng", "build-agent.sh"));
        return Path.Combine(Checkout, "artifacts", "agent");
    }

    private static string FindCheckout()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "eng", "build-agent.sh")))
            root = root.Parent ?? throw new InvalidOperationException("the tests must run from inside a checkout");
        return root.FullName;
    }
}
