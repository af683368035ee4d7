using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CrowNest.Worker.Containers.Network;
using CrowNest.Worker.Nodes;
using CrowNest.Worker.Templates;
using Docker.DotNet.Models;
using Microsoft.Extensions.Options;

namespace CrowNest.Worker.Containers;

/// <summary>How the container of a sandbox is made: the rules of docs/architecture.md "Isolation".</summary>
internal sealed class SandboxSpec(IOptions<WorkerOptions> options, Node node, ResolverList resolvers)
{
    private const long MiB = 1024 * 1024;

    /// <summary>The agent goes later than the user's processes (1000) and earlier than the node's own (0).</summary>
    private const int AgentOomScoreAdjust = 300;

    /// <summary>What agent, launcher and the kernel's own records need beside a full folder.</summary>
    private const int AgentMemoryMb = 64;

    /// <summary>Where the socket folder is, seen from inside.</summary>
    private const string SocketPath = "/run/crownest/agent.sock";

    private static readonly string Seccomp = ReadSeccomp();

    private readonly WorkerOptions _options = options.Value;
    private readonly ConcurrentDictionary<(string ImageId, double Cpus, int MemoryMb), string> _fingerprints = new();

    /// <summary>Containers of one fingerprint differ in nothing but uid and name.</summary>
    public string Fingerprint(TemplateImage image, double cpus, int memoryMb) =>
        _fingerprints.GetOrAdd((image.ImageId, cpus, memoryMb), _ => ComputeFingerprint(image, cpus, memoryMb));

    public CreateContainerParameters Build(TemplateImage image, double cpus, int memoryMb, int uid, string name) => new()
    {
        Name = name,
        Image = image.ImageId,
        Entrypoint = [$"/opt/crownest/{AgentPrograms.Names[0]}"],
        Cmd =
        [
            "--socket", SocketPath, "--uid", $"{uid}", "--gid", $"{uid}", "--max-processes", $"{_options.MaxProcesses}",
            "--max-open-files", $"{_options.MaxOpenFiles}", "--max-file-bytes", $"{_options.MaxFileBytes}",
        ],
        User = "0:0",
        Hostname = "sandbox",
        WorkingDir = "/",
        Labels = new Dictionary<string, string>
        {
            [ContainerLabels.Deployment] = node.State.DeploymentId,
            [ContainerLabels.Worker] = node.Id,
            [ContainerLabels.TemplateVersion] = image.VersionId,
            [ContainerLabels.Uid] = uid.ToString(CultureInfo.InvariantCulture),
            [ContainerLabels.AgentDirectory] = node.Agent.InstalledAt,
        },
        HostConfig = new()
        {
            Runtime = _options.Runtime,
            NetworkMode = "none",
            ReadonlyRootfs = true,
            // The socket folder is the only writable path of the host, and root's: the user cannot write it (0711).
            Binds = [$"{node.Agent.InstalledAt}:/opt/crownest:ro", $"{node.State.SocketFolder(name)}:/run/crownest"],
            Tmpfs = new Dictionary<string, string>
            {
                ["/workspace"] = $"rw,exec,nosuid,nodev,{Size(_options.WorkspaceMb, memoryMb, _options.WorkspaceInodes)},{OwnedBy(uid)}",
                ["/home/sandbox"] = $"rw,exec,nosuid,nodev,{Size(_options.HomeMb, memoryMb, _options.HomeInodes)},{OwnedBy(uid)}",
                ["/tmp"] = $"rw,exec,nosuid,nodev,{Size(_options.TmpMb, memoryMb, _options.TmpInodes)},mode=1777",
                // The engine's own has no limit on inodes.
                ["/dev/shm"] = $"rw,noexec,nosuid,nodev,{Size(_options.TmpMb, memoryMb, _options.TmpInodes)},mode=1777",
            },
            Memory = memoryMb * MiB,
            MemorySwap = memoryMb * MiB,
            NanoCPUs = (long)(cpus * 1_000_000_000),
            PidsLimit = _options.PidsLimit,
            OomScoreAdj = AgentOomScoreAdjust,
            CapDrop = ["ALL"],
            CapAdd = ["SETUID", "SETGID", "KILL"],
            SecurityOpt = ["no-new-privileges", $"seccomp={Seccomp}"],
            // Only an "internet" sandbox can reach them.
            DNS = [.. resolvers.Addresses],
            LogConfig = new() { Type = "none" },
            IpcMode = "private",
            CgroupnsMode = "private",
            RestartPolicy = new() { Name = RestartPolicyKind.No },
        },
    };

    private string ComputeFingerprint(TemplateImage image, double cpus, int memoryMb)
    {
        var spec = Build(image, cpus, memoryMb, uid: 0, name: "");
        spec.Labels.Clear();
        return Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(spec)))[..16];
    }

    private static string OwnedBy(int uid) => $"mode=0755,uid={uid},gid={uid}";

    /// <summary>
    /// Files in these folders are memory of the sandbox, and what exceeds that ends processes, at last the agent, where a full folder is
    /// an error that can be told. So one folder alone never fills the memory.
    /// </summary>
    private static string Size(int mebibytes, int memoryMb, int inodes) =>
        $"size={Math.Min(mebibytes, Math.Max(memoryMb - AgentMemoryMb, memoryMb / 2))}m,nr_inodes={inodes}";

    private static string ReadSeccomp()
    {
        using var resource = typeof(SandboxSpec).Assembly.GetManifestResourceStream("seccomp.json")
            ?? throw new InvalidOperationException("The seccomp profile is not part of this build.");
        using var reader = new StreamReader(resource, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
