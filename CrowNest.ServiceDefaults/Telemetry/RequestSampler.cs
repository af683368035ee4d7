using System.Diagnostics;
using OpenTelemetry.Trace;

namespace CrowNest.ServiceDefaults.Telemetry;

/// <summary>
/// Which traces begin: those of requests, and those that our own code begins on purpose. A call to somebody else that nothing has asked
/// for (a client's span without a parent) is the polling of a background service, a lease, a pool, a health check: thousands an hour
/// that would hide the requests.
/// </summary>
/// <remarks>For roots only; within <see cref="ParentBasedSampler"/> everything else follows its parent.</remarks>
internal sealed class RequestSampler : Sampler
{
    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters) =>
        new(samplingParameters.Kind == ActivityKind.Client ? SamplingDecision.Drop : SamplingDecision.RecordAndSample);
}
