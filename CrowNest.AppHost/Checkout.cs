namespace CrowNest.AppHost;

/// <summary>The folders of this checkout that the processes share.</summary>
/// <param name="Root">The folder with the solution.</param>
/// <param name="State">What a stopped stack leaves behind; <c>CROWNEST_STATE_DIRECTORY</c> moves it.</param>
internal sealed record Checkout(string Root, string State)
{
    /// <summary>The agent and the launcher, as <c>eng/build-agent.sh</c> leaves them.</summary>
    public string Agent => Path.Combine(Root, "artifacts", "agent");

    public static Checkout Of(IDistributedApplicationBuilder builder)
    {
        var root = Path.GetFullPath(Path.Combine(builder.AppHostDirectory, ".."));
        var state = builder.Configuration["CROWNEST_STATE_DIRECTORY"];
        return new Checkout(root, string.IsNullOrEmpty(state) ? Path.Combine(root, ".crownest") : Path.GetFullPath(state));
    }

    public string StateOf(string process) => Path.Combine(State, process);
}
