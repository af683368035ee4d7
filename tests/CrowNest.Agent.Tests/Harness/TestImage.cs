namespace CrowNest.Agent.Tests.Harness;

/// <summary>The image of the container tests: the base template, or where it has not been built, a Debian of our own.</summary>
internal static class TestImage
{
    private const string Template = "crownest/base:latest";
    private const string Own = "crownest-test-base";

    private static readonly Lazy<Task<string>> s_name = new(FindAsync);

    internal static Task<string> NameAsync() => s_name.Value;

    private static async Task<string> FindAsync()
    {
        var images = await Shell.RunAsync("docker", "images", "--format", "{{.Repository}}:{{.Tag}}");
        var names = images.Split('\n');
        if (names.Contains(Template)) return Template;
        if (names.Contains($"{Own}:latest")) return Own;
        await Shell.RunAsync("sh", "-c",
            $"set -e; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT; "
            + "mmdebstrap --quiet --variant=minbase --include=procps trixie \"$d/root.tar\"; "
            + $"docker import --change 'LABEL crownest.tests=agent' \"$d/root.tar\" {Own}");
        return Own;
    }
}
