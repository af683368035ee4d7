using CrowNest.Platform.Storage;
using Xunit;

namespace CrowNest.Platform.Tests.Objects;

/// <summary>What only the folder driver has: left-overs, files in the way, files of others.</summary>
[Collection(TestStore.Collection)]
public sealed class FolderObjectStoreTests : IAsyncLifetime
{
    private readonly TestStore _test = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync() => await _test.DisposeAsync();

    [Fact]
    public async Task Put_ContentFails_FolderHoldsNothingOfIt()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        await using var broken = new MadeStream(100_000, _ => throw new InvalidOperationException("The source broke."));

        await Assert.ThrowsAsync<InvalidOperationException>(() => store.PutAsync("logs/a/b", broken, null, default));

        Assert.Empty(Directory.GetFiles(_test.Root, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Put_FolderCanNotBeMade_IsTheStoresError()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        await File.WriteAllTextAsync(Path.Combine(_test.Root, "logs"), "in the way");

        await Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, "logs/a/b", [1]));
        Assert.Empty(_test.Unfinished);
    }

    [Fact]
    public async Task Put_FolderInThePlaceOfTheObject_IsTheStoresError()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        await TestStore.PutAsync(store, "logs/a/b", [1]);

        await Assert.ThrowsAsync<ObjectStoreException>(() => TestStore.PutAsync(store, "logs/a", [1]));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync("logs/a", null, default));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.DeleteAsync("logs/a", default));
        Assert.Null(await store.StatAsync("logs/a", default));
        Assert.Empty(_test.Unfinished);
    }

    [Fact]
    public async Task Start_LeftOversOfTheDead_AreRemovedThoseOfTheLivingStay()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        var dead = Path.Combine(_test.Root, ".unfinished", "dead");
        await File.WriteAllTextAsync(dead, "half");
        var reading = new TaskCompletionSource();
        var goOn = new TaskCompletionSource();
        await using var content = new MadeStream(1_000_000, async token =>
        {
            reading.TrySetResult();
            await goOn.Task.WaitAsync(token);
        });
        var put = store.PutAsync("logs/a", content, null, default);
        await reading.Task;
        Assert.Equal(2, _test.Unfinished.Length);

        // Young ones stay.
        _test.Open(ObjectsOptions.Folder);
        Assert.Equal(2, _test.Unfinished.Length);
        _test.Open(ObjectsOptions.Folder, new ShiftedClock(TimeSpan.FromHours(1)));
        Assert.False(File.Exists(dead));
        Assert.Single(_test.Unfinished);

        goOn.SetResult();
        Assert.Equal(1_000_000, (await put).Length);
        Assert.Empty(_test.Unfinished);
    }

    [Fact]
    public async Task List_FilesThatAreNoObjects_AreLeftOut()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        await TestStore.PutAsync(store, "logs/a", [1]);
        await File.WriteAllTextAsync(Path.Combine(_test.Root, ".unfinished", "half"), "half");
        await File.WriteAllTextAsync(Path.Combine(_test.Root, "logs", ".hidden"), "");
        await File.WriteAllTextAsync(Path.Combine(_test.Root, "logs", "not a key"), "");
        File.CreateSymbolicLink(Path.Combine(_test.Root, "logs", "link"), "/etc/passwd");
        Directory.CreateSymbolicLink(Path.Combine(_test.Root, "etc"), "/etc");

        Assert.Equal("logs/a", Assert.Single(await TestStore.ListAsync(store, "")).Key);
    }

    [Fact]
    public async Task List_MoreThanOneBatchInAFolder_GivesEveryKeyOnce()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        await TestStore.PutAsync(store, "logs/a/x", [1]);
        for (var i = 0; i < 4500; i++)
        {
            await File.WriteAllBytesAsync(Path.Combine(_test.Root, "logs", "a", $"{i:x4}"), []);
        }

        var listed = await TestStore.ListAsync(store, "logs/", limit: 700);

        Assert.Equal(4501, listed.Count);
        Assert.Equal(listed.Select(o => o.Key).Order(StringComparer.Ordinal), listed.Select(o => o.Key));
    }

    [Fact]
    public async Task Get_FileIsCutWhileItIsRead_IsTheStoresError()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        await TestStore.PutAsync(store, "logs/a", TestStore.Bytes(100_000));
        await using var stored = (await store.GetAsync("logs/a", null, default))!;
        Assert.Equal(10, await stored.Content.ReadAsync(new byte[10]));

        var path = Path.Combine(_test.Root, "logs", "a");
        await using (var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(50_000);
        }

        await Assert.ThrowsAsync<ObjectStoreException>(() => stored.Content.CopyToAsync(Stream.Null));
    }

    [Fact]
    public async Task Verified_FileIsDamaged_FailsBeforeTheLastByte()
    {
        var store = _test.Open(ObjectsOptions.Folder);
        var digest = await TestStore.PutAsync(store, "logs/a", TestStore.Bytes(100_000));
        await using (var file = File.OpenWrite(Path.Combine(_test.Root, "logs", "a")))
        {
            file.Position = 5;
            file.WriteByte(0);
        }

        await using var stored = (await store.GetAsync("logs/a", null, default))!.Verified(digest.Sha256);
        using var handedOut = new MemoryStream();
        await Assert.ThrowsAsync<ObjectStoreException>(() => stored.Content.CopyToAsync(handedOut));
        Assert.True(handedOut.Length < 100_000);
    }
}
