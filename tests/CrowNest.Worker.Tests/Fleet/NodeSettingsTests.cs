using CrowNest.Worker.Nodes;
using Xunit;

namespace CrowNest.Worker.Tests.Fleet;

public sealed class NodeSettingsTests
{
    [Fact]
    public void Validate_Defaults_LackOnlyTheAgent()
    {
        var result = new WorkerOptionsValidation().Validate(null, Options());

        Assert.All(result.Failures!, failure => Assert.Contains("AgentDirectory", failure, StringComparison.Ordinal));
    }

    [Fact]
    public void Validate_EveryWrongSetting_IsNamed()
    {
        var options = Options();
        options.Id = "worker 1";
        options.MaxProcesses = options.PidsLimit - 95;
        options.Subnet = "10.219.0.0";
        options.DnsResolvers = ["resolver"];
        options.Capacity = 0;
        options.WarmPoolSize["pyhton"] = 1;
        options.LeaseSeconds = 1;
        options.ListenUrl = "127.0.0.1:80";

        var failures = string.Join('\n', new WorkerOptionsValidation().Validate(null, options).Failures!);

        string[] wrong = ["Id", "MaxProcesses", "Subnet", "DnsResolvers", "Capacity", "WarmPoolSize", "LeaseSeconds", "ListenUrl"];
        foreach (var name in wrong)
        {
            Assert.Contains($"Worker: {name}", failures, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Validate_ShortSecret_IsRefused()
    {
        var result = new DeploymentOptionsValidation().Validate(null, new() { DeploymentSecret = "short", StateDirectory = "/tmp" });

        Assert.Contains("CrowNest__DeploymentSecret", Assert.Single(result.Failures!), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_FolderInUse_IsRefusedAndIdsStay()
    {
        var path = Path.Combine(Path.GetTempPath(), $"crownest-test-state-{Guid.NewGuid():n}");
        try
        {
            string deployment, worker;
            using (var first = NodeState.Open(path))
            {
                (deployment, worker) = (first.DeploymentId, first.WorkerId(null));
                Assert.Contains(path, Assert.Throws<StartupException>(() => NodeState.Open(path)).Message, StringComparison.Ordinal);
            }

            using var second = NodeState.Open(path);
            Assert.Equal((deployment, worker), (second.DeploymentId, second.WorkerId(null)));
            Assert.Equal("wrk_configured", second.WorkerId("wrk_configured"));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
        }
        finally
        {
            Directory.Delete(path, recursive: true);
        }
    }

    private static WorkerOptions Options() => new() { ListenUrl = "http://127.0.0.1:8789", AdvertisedUrl = "http://127.0.0.1:8789" };
}
