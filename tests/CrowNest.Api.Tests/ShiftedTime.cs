namespace CrowNest.Api.Tests;

/// <summary>The real clock, set forward by a test.</summary>
internal sealed class ShiftedTime : TimeProvider
{
    private long _shiftTicks;

    public void Advance(TimeSpan by) => Interlocked.Add(ref _shiftTicks, by.Ticks);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref _shiftTicks));

    public override long GetTimestamp() =>
        base.GetTimestamp() + (long)(TimeSpan.FromTicks(Interlocked.Read(ref _shiftTicks)).TotalSeconds * TimestampFrequency);
}
