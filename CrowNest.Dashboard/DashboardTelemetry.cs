using System.Diagnostics.Metrics;

namespace CrowNest.Dashboard;

/// <summary>What the dashboard measures; requests and calls to the API are traced by the framework.</summary>
internal sealed class DashboardTelemetry
{
    private readonly Counter<long> _signIns;
    private readonly UpDownCounter<long> _followedCommands;

    public DashboardTelemetry(IMeterFactory meters)
    {
        var meter = meters.Create("CrowNest.Dashboard");
        _signIns = meter.CreateCounter<long>("crownest.dashboard.sign_ins", "{sign_in}", "Redeemed or refused sign-in links.");
        _followedCommands = meter.CreateUpDownCounter<long>(
            "crownest.dashboard.followed_commands", "{command}", "Pages of commands and runs that are following live output.");
    }

    public void SignIn(string outcome) => _signIns.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public void Follow(int change) => _followedCommands.Add(change);
}
