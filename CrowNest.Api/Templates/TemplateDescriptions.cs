namespace CrowNest.Api.Templates;

/// <summary>What a template is for, in a line.</summary>
internal static class TemplateDescriptions
{
    public static string Of(string slug) => slug switch
    {
        "base" => "Minimal Linux with shell, git, curl and build tools.",
        "python" => "Python with pip and venv.",
        "node" => "Node.js with npm.",
        "python-node" => "Python and Node.js together; the default.",
        _ => throw new ArgumentException($"Template '{slug}' has no description.", nameof(slug)),
    };
}
