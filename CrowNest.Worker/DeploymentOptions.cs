using Microsoft.Extensions.Options;

namespace CrowNest.Worker;

/// <summary>What every process of a deployment is given, section <c>CrowNest</c> (docs/protocols.md 1).</summary>
internal sealed class DeploymentOptions
{
    public const string SectionName = "CrowNest";

    /// <summary>Bearer of the internal API, at least 32 characters.</summary>
    public string DeploymentSecret { get; set; } = "";

    /// <summary>Folder for what this process keeps on disk.</summary>
    public string StateDirectory { get; set; } = "";
}

internal sealed class DeploymentOptionsValidation : IValidateOptions<DeploymentOptions>
{
    private const int MinSecretLength = 32;

    public ValidateOptionsResult Validate(string? name, DeploymentOptions options)
    {
        var failures = new List<string>();
        if (options.DeploymentSecret.Length < MinSecretLength)
        {
            failures.Add($"CrowNest__DeploymentSecret must have at least {MinSecretLength} characters.");
        }

        if (options.StateDirectory.Length == 0)
        {
            failures.Add("CrowNest__StateDirectory is not set.");
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
