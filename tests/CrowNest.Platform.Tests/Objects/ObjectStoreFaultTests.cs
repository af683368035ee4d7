using System.Diagnostics;
using System.Globalization;
using CrowNest.Platform.Storage;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>What holds for every driver when processes are killed and stores go away.</summary>
[Collection(TestStore.Collection)]
public sealed class ObjectStoreFaultTests : IAsyncLifetime
{
    private const int MiB = 1024 * 1024;
    private readonly TestStore _test = new();

    public static TheoryData<string> Drivers => TestStore.Drivers;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync() => await _test.DisposeAsync();

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_ProcessIsKilledInTheMiddle_KeepsTheOldObjectAndShowsNothingElse(string driver)
    {
        var store = _test.Open(driver);
        var key = _test.Key("kept");
        await TestStore.PutAsync(store, key, "old"u8.ToArray());

        foreach (var (victim, bytes) in new[] { (key, 20 * MiB), (_test.Key("new"), 20 * MiB), (_test.Key("small"), 10) })
        {
            await KillInTheMiddleAsync(driver, victim, bytes);
        }

        Assert.Equal("old"u8.ToArray(), await TestStore.ReadAsync(store, key));
        Assert.Null(await store.GetAsync(_test.Key("new"), null, default));
        Assert.Equal(key, Assert.Single(await TestStore.ListAsync(store, _test.Prefix)).Key);

        // What the dead have begun is in nobody's way.
        await TestStore.PutAsync(store, key, "later"u8.ToArray());
        Assert.Equal("later"u8.ToArray(), await TestStore.ReadAsync(_test.Open(driver), key));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task EveryCall_StoreIsAway_FailsAndWorksAgainWhenItIsBack(string driver)
    {
        await using var outage = new Outage(_test, driver);
        var store = outage.Store;
        var key = _test.Key("object");
        var bytes = TestStore.Bytes(9 * MiB);
        await TestStore.PutAsync(store, key, "old"u8.ToArray());

        outage.Begin();
        var watch = Stopwatch.StartNew();
        foreach (var size in new[] { 1, 9 * MiB })
        {
            await Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, key, bytes[..size]));
        }

        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync(key, null, default));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync(key, new ObjectRange(1, 1), default));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.StatAsync(key, default));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.DeleteAsync(key, default));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.ListAsync(_test.Prefix, null, null, 10, default));
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        outage.End();

        Assert.Equal("old"u8.ToArray(), await TestStore.ReadAsync(store, key));
        Assert.Equal(TestStore.Sha256(bytes), (await TestStore.PutAsync(store, key, bytes)).Sha256);
        Assert.Equal(bytes, await TestStore.ReadAsync(store, key));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_StoreGoesAwayInTheMiddle_FailsAndARetryWorks(string driver)
    {
        await using var outage = new Outage(_test, driver);
        var store = outage.Store;
        var key = _test.Key("object");
        await TestStore.PutAsync(store, key, "old"u8.ToArray());

        await using var content = new MadeStream(40 * MiB, onRead: position =>
        {
            if (position >= 20 * MiB && !outage.HasBegun)
            {
                outage.Begin();
            }
        });
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.PutAsync(key, content, null, default));
        Assert.Equal(driver == ObjectsOptions.S3 ? 1 : 0, (await TestStore.UploadsAsync(driver, key)).Count);
        outage.End();

        // The outage kept the parts from being dropped with the upload.
        await Eventually.HoldsAsync(async () => (await TestStore.UploadsAsync(driver, key)).Count == 0, "nothing unfinished stays behind");
        Assert.Equal("old"u8.ToArray(), await TestStore.ReadAsync(store, key));
        Assert.Single(await TestStore.ListAsync(store, _test.Prefix));
        await using var again = new MadeStream(40 * MiB);
        Assert.Equal(new ObjectDigest(40 * MiB, again.Sha256()).Length, (await store.PutAsync(key, again, null, default)).Length);
    }

    private async Task KillInTheMiddleAsync(string driver, string key, int bytes)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(
                "dotnet",
                ["exec", typeof(ObjectStoreFaultTests).Assembly.Location, Program.UnfinishedPut, driver, _test.Root, key, bytes.ToString(CultureInfo.InvariantCulture)])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        process.Start();
        var errors = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            var said = await process.StandardOutput.ReadLineAsync(limit.Token);
            Assert.True(said == "in the middle", said ?? await errors);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    /// <summary>A store that a test can take away: the folder is moved, the way to the server cut.</summary>
    private sealed class Outage : IAsyncDisposable
    {
        private readonly string _root;
        private readonly StoreProxy? _proxy;

        public Outage(TestStore test, string driver)
        {
            var options = test.Options(driver);
            _root = test.Root;
            if (driver == ObjectsOptions.S3)
            {
                _proxy = new StoreProxy(options.Endpoint!);
                options.Endpoint = _proxy.Endpoint;
            }

            Store = test.Open(options);
        }

        public IObjectStore Store { get; }

        public bool HasBegun { get; private set; }

        public void Begin()
        {
            HasBegun = true;
            if (_proxy is null)
            {
                Directory.Move(_root, _root + "-away");
                return;
            }

            _proxy.IsCut = true;
            _proxy.CloseConnections();
        }

        public void End()
        {
            if (_proxy is null)
            {
                Directory.Move(_root + "-away", _root);
                return;
            }

            _proxy.IsCut = false;
        }

        public ValueTask DisposeAsync() => _proxy?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
