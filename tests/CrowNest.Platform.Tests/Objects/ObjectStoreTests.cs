using System.Text;
using CrowNest.Platform.Storage;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>The contract of <see cref="IObjectStore"/>, for every driver.</summary>
[Collection(TestStore.Collection)]
public sealed class ObjectStoreTests : IAsyncLifetime
{
    private const int MiB = 1024 * 1024;
    private readonly TestStore _test = new();

    public static TheoryData<string> Drivers => TestStore.Drivers;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync() => await _test.DisposeAsync();

    [Fact]
    public void Drivers_OnContinuousIntegration_HaveAnS3Server() => Assert.True(
        TestStore.HasS3
        || Environment.GetEnvironmentVariable("CI") is not "true"
        || Environment.GetEnvironmentVariable("CROWNEST_TEST_S3") is "off");

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_KnownAndUnknownLength_ReadsBack(string driver)
    {
        var store = _test.Open(driver);
        foreach (var size in new[] { 0, 1, 70_000, (8 * MiB) - 1, 8 * MiB, (8 * MiB) + 5, 16 * MiB })
        {
            var bytes = TestStore.Bytes(size);
            foreach (long? length in new long?[] { size, null })
            {
                using var content = new MemoryStream(bytes);
                Assert.Equal(
                    new ObjectDigest(size, TestStore.Sha256(bytes)), await store.PutAsync(_test.Key("object"), content, length, default));
                Assert.Equal(TestStore.Sha256(bytes), TestStore.Sha256((await TestStore.ReadAsync(store, _test.Key("object")))!));
                Assert.Equal(size, (await store.StatAsync(_test.Key("object"), default))!.Length);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Get_Ranges_GivesThatPart(string driver)
    {
        var store = _test.Open(driver);
        var key = _test.Key("part");
        await TestStore.PutAsync(store, key, "0123456789"u8.ToArray());

        foreach (var (range, expected) in new (ObjectRange, string)[]
        {
            (new(3, 4), "3456"), (new(8), "89"), (new(8, 100), "89"), (new(0), "0123456789"), (new(0, 1), "0"), (new(9, 1), "9"),
            (new(2, long.MaxValue), "23456789"), (new(10), ""), (new(50, 3), ""), (new(long.MaxValue), ""), (new(3, 0), ""),
        })
        {
            await using var part = await store.GetAsync(key, range, default);
            using var reader = new StreamReader(part!.Content, Encoding.ASCII);
            Assert.Equal(expected, await reader.ReadToEndAsync());
            Assert.Equal((expected.Length, 10), (part.Length, part.TotalLength));
        }

        await TestStore.PutAsync(store, key, []);
        Assert.Empty((await TestStore.ReadAsync(store, key, new ObjectRange(0)))!);
        Assert.Empty((await TestStore.ReadAsync(store, key, new ObjectRange(5, 5)))!);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => store.GetAsync(key, new ObjectRange(-1), default));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Missing_EveryCall_IsNothingAndNoError(string driver)
    {
        var store = _test.Open(driver);
        await TestStore.PutAsync(store, _test.Key("other"), [1]);

        Assert.Null(await store.GetAsync(_test.Key("none"), null, default));
        Assert.Null(await store.GetAsync(_test.Key("none/below"), null, default));
        Assert.Null(await store.GetAsync(_test.Key("none"), new ObjectRange(1, 2), default));
        Assert.Null(await store.GetAsync(_test.Key("none"), new ObjectRange(1, 0), default));
        Assert.Null(await store.StatAsync(_test.Key("none"), default));
        await store.DeleteAsync(_test.Key("none"), default);
        await store.DeleteAsync(_test.Key("none/below"), default);
        Assert.Empty((await store.ListAsync(_test.Key("none/"), null, null, 10, default)).Objects);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_ContentFails_KeepsTheOldObjectAndPassesItsException(string driver)
    {
        var store = _test.Open(driver);
        var key = _test.Key("kept");
        await TestStore.PutAsync(store, key, "old"u8.ToArray());

        foreach (var good in new[] { 0, 100_000, 20 * MiB })
        {
            await using var broken = new MadeStream(good, _ => throw new IOException("The source broke."));
            Assert.Equal("The source broke.", (await Assert.ThrowsAsync<IOException>(
                () => store.PutAsync(key, broken, null, default))).Message);

            using var stop = new CancellationTokenSource();
            await using var endless = new MadeStream(good, async token =>
            {
                await stop.CancelAsync();
                await Task.Delay(Timeout.Infinite, token);
            });
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.PutAsync(key, endless, null, stop.Token));
        }

        Assert.Equal("old"u8.ToArray(), await TestStore.ReadAsync(store, key));
        Assert.Equal(key, Assert.Single(await TestStore.ListAsync(store, _test.Prefix)).Key);
        await store.DeleteAsync(key, default);
        Assert.Null(await store.StatAsync(key, default));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_ContentOfAnotherLength_StoresNothing(string driver)
    {
        var store = _test.Open(driver);
        var key = _test.Key("kept");
        await TestStore.PutAsync(store, key, "old"u8.ToArray());

        foreach (var (size, length) in new (int, long)[] { (10, 11), (10, 9), (0, 1), (20 * MiB, (20 * MiB) + 1), (20 * MiB, (20 * MiB) - 1) })
        {
            using var content = new MemoryStream(TestStore.Bytes(size));
            await Assert.ThrowsAsync<ObjectStoreException>(() => store.PutAsync(key, content, length, default));
        }

        Assert.Equal("old"u8.ToArray(), await TestStore.ReadAsync(store, key));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Verified_OtherDigest_FailsBeforeTheLastByte(string driver)
    {
        var store = _test.Open(driver);
        foreach (var size in new[] { 0, 1, 300_000 })
        {
            var bytes = TestStore.Bytes(size);
            var digest = await TestStore.PutAsync(store, _test.Key("object"), bytes);

            await using var good = (await store.GetAsync(_test.Key("object"), null, default))!.Verified(digest.Sha256.ToUpperInvariant());
            using var read = new MemoryStream();
            await good.Content.CopyToAsync(read);
            Assert.Equal(bytes, read.ToArray());

            await using var bad = (await store.GetAsync(_test.Key("object"), null, default))!.Verified(TestStore.Sha256([9]));
            using var handedOut = new MemoryStream();
            await Assert.ThrowsAsync<ObjectStoreException>(() => bad.Content.CopyToAsync(handedOut));
            Assert.True(size == 0 || handedOut.Length < size);
            await Assert.ThrowsAsync<ObjectStoreException>(() => bad.Content.ReadAsync(new byte[1]).AsTask());
        }

        await using var part = await store.GetAsync(_test.Key("object"), new ObjectRange(1), default);
        Assert.Throws<InvalidOperationException>(() => part!.Verified(TestStore.Sha256([])));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Put_ManyAtOnceOfOneKey_OneWholeContentWins(string driver)
    {
        var store = _test.Open(driver);
        var key = _test.Key("contended");
        var contents = Enumerable.Range(0, 6).Select(i => TestStore.Bytes(i % 2 == 0 ? 300_000 : 9 * MiB, seed: i)).ToList();
        var whole = contents.Select(TestStore.Sha256).ToHashSet();
        await TestStore.PutAsync(store, key, contents[0]);

        var puts = Task.WhenAll(contents.Select(bytes => Task.Run(() => TestStore.PutAsync(store, key, bytes))));
        do
        {
            Assert.Contains(TestStore.Sha256((await TestStore.ReadAsync(store, key))!), whole);
        }
        while (!puts.IsCompleted);
        await puts;

        Assert.Contains(TestStore.Sha256((await TestStore.ReadAsync(store, key))!), whole);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task PutAndGet_200MB_MemoryStaysFlat(string driver)
    {
        const long Size = 200L * MiB;
        var store = _test.Open(driver);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var peak = before;
        void Sample(long position) => peak = Math.Max(peak, GC.GetTotalMemory(false));

        await using var content = new MadeStream(Size, onRead: Sample);
        var digest = await store.PutAsync(_test.Key("large"), content, null, default);
        Assert.Equal(new ObjectDigest(Size, content.Sha256()), digest);

        await using var stored = (await store.GetAsync(_test.Key("large"), null, default))!.Verified(digest.Sha256);
        var buffer = new byte[64 * 1024];
        var total = 0L;
        for (int read; (read = await stored.Content.ReadAsync(buffer)) > 0; total += read)
        {
            Sample(total);
        }

        Assert.Equal(Size, total);
        Assert.InRange(peak - before, 0, 80 * MiB);
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task List_Pages_GiveEveryKeyOnceInOrder(string driver)
    {
        var store = _test.Open(driver);
        string[] names = ["a/1", "a/2", "a-b/1", "a.b", "b", "c/d/e/f", "c/d/e-f", "c/z", "Z"];
        foreach (var name in names)
        {
            await TestStore.PutAsync(store, _test.Key(name), TestStore.Bytes(name.Length));
        }

        var expected = names.Select(_test.Key).Order(StringComparer.Ordinal).ToList();
        foreach (var limit in new[] { 1, 2, 4, 9, 1000 })
        {
            var listed = await TestStore.ListAsync(store, _test.Prefix, limit);
            Assert.Equal(expected, listed.Select(o => o.Key));
            Assert.All(listed, o => Assert.Equal(o.Key.Length - _test.Prefix.Length, o.Length));
        }

        Assert.Equal([_test.Key("a/1"), _test.Key("a/2")], (await TestStore.ListAsync(store, _test.Key("a/"))).Select(o => o.Key));
        Assert.Equal(
            [_test.Key("c/d/e-f"), _test.Key("c/d/e/f")], (await TestStore.ListAsync(store, _test.Key("c/d/e"), 1)).Select(o => o.Key));
        Assert.Equal([_test.Key("b")], (await TestStore.ListAsync(store, _test.Key("b"))).Select(o => o.Key));
        Assert.Empty(await TestStore.ListAsync(store, _test.Key("c/d/f")));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task List_OlderThan_LeavesOutTheYoung(string driver)
    {
        var store = _test.Open(driver);
        await TestStore.PutAsync(store, _test.Key("one"), [1]);
        var written = (await store.StatAsync(_test.Key("one"), default))!.ModifiedAt;

        Assert.InRange(written, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));
        Assert.Empty(await TestStore.ListAsync(store, _test.Prefix, olderThan: written.AddSeconds(-2)));
        Assert.Single(await TestStore.ListAsync(store, _test.Prefix, olderThan: written.AddSeconds(2)));
    }

    [Theory]
    [MemberData(nameof(Drivers))]
    public async Task Key_NotLegal_IsRefused(string driver)
    {
        var store = _test.Open(driver);
        using var content = new MemoryStream([1]);
        string[] keys =
        [
            "", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "..", ".", ".unfinished/a", "a/.b", "a\\b", "a b", "a\0b", "ä", "a\nb", "a%2e",
            "~", "a:b", "a?b", "a#b", new string('a', 256), string.Join('/', Enumerable.Repeat(new string('a', 100), 6)), "C:/a", "a\u202eb",
        ];
        foreach (var key in keys)
        {
            await Assert.ThrowsAsync<ArgumentException>(() => store.PutAsync(key, content, 1, default));
            await Assert.ThrowsAsync<ArgumentException>(() => store.GetAsync(key, null, default));
            await Assert.ThrowsAsync<ArgumentException>(() => store.StatAsync(key, default));
            await Assert.ThrowsAsync<ArgumentException>(() => store.DeleteAsync(key, default));
            if (key is not ("" or "a/"))
            {
                await Assert.ThrowsAsync<ArgumentException>(() => store.ListAsync(key, null, null, 1, default));
            }
        }

        await Assert.ThrowsAnyAsync<ArgumentException>(() => store.ListAsync("a/", null, null, 0, default));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => store.ListAsync("a/", null, null, 1001, default));
        var longest = _test.Prefix + string.Join('/', new string('b', 255), new string('c', 512 - _test.Prefix.Length - 256));
        await TestStore.PutAsync(store, longest, [1]);
        Assert.Equal(longest, Assert.Single(await TestStore.ListAsync(store, _test.Prefix)).Key);
    }
}
