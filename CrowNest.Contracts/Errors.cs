using System.Text.Json.Nodes;

namespace CrowNest.Contracts;

/// <summary>The JSON body of every non-2xx answer (H3).</summary>
public sealed record ErrorEnvelope(ErrorBody Error);

/// <param name="Code">Stable, lower snake case; see <see cref="ErrorCodes"/>.</param>
/// <param name="Message">Free text for people. Holds no stack trace and no host path.</param>
/// <param name="Details">Optional machine-readable members, for example <c>field</c> or <c>max</c>.</param>
public sealed record ErrorBody(string Code, string Message, JsonObject? Details = null);
