using System.Globalization;
using CrowNest.Platform.Tests.Objects;
using Xunit.Runner.InProc.SystemConsole;

namespace CrowNest.Platform.Tests;

/// <summary>
/// Runs the tests; or is the process that one of them kills in the middle of a put: <c>unfinished-put DRIVER ROOT KEY BYTES</c>. That one
/// reads so many bytes into the store, says so, and then never comes to the end.
/// </summary>
internal static class Program
{
    public const string UnfinishedPut = "unfinished-put";

    public static async Task<int> Main(string[] args)
    {
        if (args is not [UnfinishedPut, var driver, var root, var key, var bytes])
        {
            return await ConsoleRunner.Run(args);
        }

        await using var test = new TestStore();
        var store = test.Open(TestStore.OptionsOf(driver, root));
        await using var content = new MadeStream(
            long.Parse(bytes, CultureInfo.InvariantCulture),
            async token =>
            {
                Console.WriteLine("in the middle");
                await Task.Delay(Timeout.Infinite, token);
            });
        await store.PutAsync(key, content, null, default);
        return 0;
    }
}
