using CrowNest.Platform.Tests.Objects;

namespace CrowNest.Platform.Tests;

/// <summary>
/// The process that a test kills in the middle of a put: <c>DRIVER ROOT KEY BYTES</c>. It reads that many bytes into the store, says so, and
/// then never comes to the end.
/// </summary>
internal static class Program
{
    public static async Task Main(string[] args)
    {
        await using var test = new TestStore();
        var store = test.Open(TestStore.OptionsOf(args[0], args[1]));
        await using var content = new MadeStream(
            long.Parse(args[3], System.Globalization.CultureInfo.InvariantCulture),
            async token =>
            {
                Console.WriteLine("in the middle");
                await Task.Delay(Timeout.Infinite, token);
            });
        await store.PutAsync(args[2], content, null, default);
    }
}
