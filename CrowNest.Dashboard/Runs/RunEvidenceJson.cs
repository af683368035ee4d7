using System.Text.Json;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Runs;

/// <summary>Evidence as people read and keep it: the API's own JSON, with line breaks.</summary>
internal static class RunEvidenceJson
{
    private static readonly JsonSerializerOptions Readable = new(CrowNestJson.Options) { WriteIndented = true };

    public static string Of(WorkspaceRunEvidence evidence) => JsonSerializer.Serialize(evidence, Readable) + "\n";
}
