namespace CrowNest.Worker.Containers;

/// <summary>Labels by which a node finds its containers again.</summary>
internal static class ContainerLabels
{
    public const string Deployment = "crownest.deployment";
    public const string Worker = "crownest.worker";
    public const string TemplateVersion = "crownest.template-version";
    public const string Uid = "crownest.uid";
    public const string Fingerprint = "crownest.fingerprint";
    public const string AgentDirectory = "crownest.agent-directory";
}
