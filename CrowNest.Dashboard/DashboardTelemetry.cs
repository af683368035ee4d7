using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace CrowNest.Dashboard;

/// <summary>What the dashboard measures and traces; requests and calls to the API are traced by the framework.</summary>
internal sealed class DashboardTelemetry
{
    private const string Name = "CrowNest.Dashboard";

    private static readonly ActivitySource Activities = new(Name);

    private readonly Counter<long> _signIns;
    private readonly UpDownCounter<long> _followedCommands;

    public DashboardTelemetry(IMeterFactory meters)
    {
        var meter = meters.Create(Name);
        _signIns = meter.CreateCounter<long>("crownest.dashboard.sign_ins", "{sign_in}", "Redeemed or refused sign-in links.");
        _followedCommands = meter.CreateUpDownCounter<long>(
            "crownest.dashboard.followed_commands", "{command}", "Pages of commands and runs that are following live output.");
    }

    /// <summary>
    /// A trace of what a person asks for on a live page. The page's own asking has none: a call to the API that nobody asked for is not
    /// traced.
    /// </summary>
    public static Activity? StartAction() => Activities.StartActivity("dashboard.action");

    public void SignIn(string outcome) => _signIns.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public void Follow(int change) => _followedCommands.Add(change);
}
