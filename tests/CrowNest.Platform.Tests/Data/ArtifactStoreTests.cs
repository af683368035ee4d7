using CrowNest.Contracts;
using CrowNest.Platform.Artifacts;
using CrowNest.Platform.Storage;
using CrowNest.Platform.Tenancy;
using Xunit;

namespace CrowNest.Platform.Tests.Data;

public sealed class ArtifactStoreTests(StoreFixture fixture) : IClassFixture<StoreFixture>
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;
    private static readonly string Digest = new('a', 64);

    private ArtifactStore Store => new(fixture.Database);

    [Fact]
    public async Task InsertAsync_ReadySandbox_IsAnnouncedAndUnseen()
    {
        var tenant = await fixture.AddTenantAsync();
        var artifact = New(tenant, await fixture.AddReadyAsync(tenant));

        var insert = await Store.InsertAsync(tenant.Ownership, artifact, null, null, CancellationToken.None);

        Assert.Equal(new ArtifactInsert(true, SandboxStatus.Ready, StoreFixture.WorkerId, null), insert);
        Assert.Equal(ArtifactStates.Storing, (await Store.FindAsync(artifact.Id, CancellationToken.None))!.State);
        Assert.Null(await Store.FindAsync(tenant.Ownership, artifact.Id, Now, CancellationToken.None));
        Assert.Empty(await ListAsync(tenant.Ownership, new ArtifactFilter { Limit = 10 }));
        Assert.Null(await Store.DeleteAsync(tenant.Ownership, artifact.Id, Now, CancellationToken.None));
    }

    [Fact]
    public async Task InsertAsync_SandboxOfAnother_IsNothing()
    {
        var stranger = await fixture.AddTenantAsync();
        var tenant = await fixture.AddTenantAsync();
        var artifact = New(tenant, await fixture.AddReadyAsync(tenant));

        Assert.Null(await Store.InsertAsync(stranger.Ownership, artifact, null, null, CancellationToken.None));
        Assert.Null(await Store.InsertAsync(
            new Ownership(tenant.OrgId, ["prj_other"]), artifact, null, null, CancellationToken.None));
        Assert.Null(await Store.FindAsync(artifact.Id, CancellationToken.None));
    }

    [Theory]
    [InlineData(SandboxStatus.Expiring)]
    [InlineData(SandboxStatus.Destroyed)]
    [InlineData(SandboxStatus.Failed)]
    public async Task InsertAsync_SandboxNotReady_AddsNothing(string state)
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant);
        if (state == SandboxStatus.Failed)
        {
            await fixture.Sandboxes.MarkFailedAsync(sandbox, "lost", Now, CancellationToken.None);
        }
        else
        {
            await fixture.Sandboxes.MarkExpiringAsync(sandbox, DestroyedReason.UserKilled, CancellationToken.None);
            if (state == SandboxStatus.Destroyed)
            {
                await fixture.Sandboxes.MarkDestroyedAsync(sandbox, Now, CancellationToken.None);
            }
        }

        var insert = await Store.InsertAsync(tenant.Ownership, New(tenant, sandbox), null, null, CancellationToken.None);

        Assert.Equal((false, state), (insert!.Added, insert.SandboxState));
    }

    [Fact]
    public async Task InsertAsync_CeilingReached_AddsNothingAndTellsWhatIsKept()
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant);
        await AddStoredAsync(tenant, sandbox, size: 600);
        var deleted = await AddStoredAsync(tenant, sandbox, size: 5000);
        await Store.DeleteAsync(tenant.Ownership, deleted, Now, CancellationToken.None);

        Task<ArtifactInsert?> InsertAsync(long ceiling) =>
            Store.InsertAsync(tenant.Ownership, New(tenant, sandbox), ceiling, null, CancellationToken.None);

        Assert.Equal((true, 600L), await Outcome(InsertAsync(601)));
        Assert.Equal((false, 600L), await Outcome(InsertAsync(600)));
        Assert.Equal((false, 600L), await Outcome(InsertAsync(0)));

        static async Task<(bool, long?)> Outcome(Task<ArtifactInsert?> insert) => ((await insert)!.Added, (await insert)!.StoredBytes);
    }

    [Fact]
    public async Task MarkStoredAsync_Announced_IsSeenAndCounted()
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant);
        var artifact = New(tenant, sandbox) with { SourcePath = "/workspace/link", Metadata = new Dictionary<string, string> { ["a"] = "b" } };
        await Store.InsertAsync(tenant.Ownership, artifact, null, null, CancellationToken.None);

        var row = await Store.MarkStoredAsync(artifact.Id, 7, Digest, "/workspace/target", Now, CancellationToken.None);

        var seen = await Store.FindAsync(tenant.Ownership, artifact.Id, Now, CancellationToken.None);
        Assert.Equal((ArtifactStates.Stored, 7L, Digest, "/workspace/target"), (seen!.State, seen.SizeBytes, seen.Sha256, seen.SourcePath));
        Assert.Equal((tenant.OrgId, tenant.ProjectId, sandbox), (seen.OrgId, seen.ProjectId, seen.SandboxId));
        Assert.Equal("b", seen.Metadata["a"]);
        Assert.Equal(row!.Id, seen.Id);
        await using var usage = fixture.Database.CreateCommand(
            "SELECT count(*), sum(amount) FROM usage_events WHERE metric = 'artifact_bytes_stored' AND resource_id = @id");
        usage.Parameters.AddWithValue("id", artifact.Id);
        await using var reader = await usage.ExecuteReaderAsync();
        await reader.ReadAsync();
        Assert.Equal((1L, 7d), (reader.GetInt64(0), reader.GetDouble(1)));
    }

    public static TheoryData<string, string> Steps
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var state in ArtifactStates.All.Append("none"))
            {
                foreach (var step in (string[])["store", "discard", "delete", "expire", "abandon", "remove"])
                {
                    data.Add(state, step);
                }
            }

            return data;
        }
    }

    /// <summary>Every state with everything that can be done to it: what is not allowed changes nothing.</summary>
    [Theory]
    [MemberData(nameof(Steps))]
    public async Task Change_FromEachState_IsMadeOnlyWhereItIsAllowed(string from, string step)
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await AddAsync(tenant, await fixture.AddReadyAsync(tenant), from);

        switch (step)
        {
            case "store":
                await Store.MarkStoredAsync(id, 3, Digest, null, Now, CancellationToken.None);
                break;
            case "discard":
                await Store.DiscardAsync(id, CancellationToken.None);
                break;
            case "delete":
                await Store.DeleteAsync(tenant.Ownership, id, Now, CancellationToken.None);
                break;
            case "expire":
                await Store.TakeRemovableAsync(Now.AddDays(2), Now.AddDays(-2), 1000, CancellationToken.None);
                break;
            case "abandon":
                await Store.TakeRemovableAsync(Now, Now.AddMinutes(1), 1000, CancellationToken.None);
                break;
            default:
                await Store.MarkRemovedAsync(id, Now, CancellationToken.None);
                break;
        }

        var expected = (from, step) switch
        {
            (ArtifactStates.Storing, "store") => ArtifactStates.Stored,
            (ArtifactStates.Storing, "discard") => null,
            (ArtifactStates.Storing, "abandon") => ArtifactStates.Deleted,
            (ArtifactStates.Stored, "delete" or "expire") => ArtifactStates.Deleted,
            ("none", _) => null,
            _ => from,
        };
        Assert.Equal(expected, (await Store.FindAsync(id, CancellationToken.None))?.State);
        if (expected is not null && expected != from)
        {
            Assert.Contains(from, ArtifactStates.From(expected));
        }
    }

    [Fact]
    public async Task TakeRemovableAsync_Tombstones_AreGivenUntilTheirBytesAreGone()
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant);
        var deleted = await AddAsync(tenant, sandbox, ArtifactStates.Deleted);
        var abandoned = await AddAsync(tenant, sandbox, ArtifactStates.Storing);
        var kept = await AddStoredAsync(tenant, sandbox);

        async Task<List<string>> TakeAsync() =>
            [.. (await Store.TakeRemovableAsync(Now, Now.AddMinutes(1), 1000, CancellationToken.None)).Select(o => o.ArtifactId)];

        foreach (var _ in Enumerable.Range(0, 2))
        {
            var taken = await TakeAsync();
            Assert.Contains(deleted, taken);
            Assert.Contains(abandoned, taken);
            Assert.DoesNotContain(kept, taken);
        }

        await Store.MarkRemovedAsync(deleted, Now, CancellationToken.None);
        await Store.MarkRemovedAsync(abandoned, Now, CancellationToken.None);
        Assert.Empty((await TakeAsync()).Intersect([deleted, abandoned, kept]));
        Assert.NotNull(await Store.FindAsync(tenant.Ownership, kept, Now, CancellationToken.None));
    }

    [Fact]
    public async Task FindAsync_PastItsRetention_IsNothingBeforeTheSweepComes()
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await AddStoredAsync(tenant, await fixture.AddReadyAsync(tenant));

        Assert.NotNull(await Store.FindAsync(tenant.Ownership, id, Now.AddHours(23), CancellationToken.None));
        Assert.Null(await Store.FindAsync(tenant.Ownership, id, Now.AddDays(1), CancellationToken.None));
        Assert.Empty(await Store.ListAsync(
            tenant.Ownership, new ArtifactFilter { Limit = 10 }, Now.AddDays(1), CancellationToken.None));
        Assert.Null(await Store.DeleteAsync(tenant.Ownership, id, Now.AddDays(1), CancellationToken.None));
    }

    [Fact]
    public async Task FindListDelete_OfAnother_AreNothing()
    {
        var tenant = await fixture.AddTenantAsync();
        var stranger = (await fixture.AddTenantAsync()).Ownership;
        var restricted = new Ownership(tenant.OrgId, ["prj_other"]);
        var id = await AddStoredAsync(tenant, await fixture.AddReadyAsync(tenant));

        foreach (var other in new[] { stranger, restricted })
        {
            Assert.Null(await Store.FindAsync(other, id, Now, CancellationToken.None));
            Assert.Empty(await ListAsync(other, new ArtifactFilter { Limit = 10 }));
            Assert.Null(await Store.DeleteAsync(other, id, Now, CancellationToken.None));
        }

        Assert.Equal(id, Assert.Single(await ListAsync(
            new Ownership(tenant.OrgId, [tenant.ProjectId]), new ArtifactFilter { Limit = 10 })).Id);
    }

    [Fact]
    public async Task DeleteAsync_Twice_SecondFindsNothing()
    {
        var tenant = await fixture.AddTenantAsync();
        var id = await AddStoredAsync(tenant, await fixture.AddReadyAsync(tenant));

        var deletes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Store.DeleteAsync(tenant.Ownership, id, Now, CancellationToken.None)));

        var row = Assert.Single(deletes, d => d is not null)!;
        Assert.Equal(Now.ToUnixTimeMilliseconds(), row.DeletedAt!.Value.ToUnixTimeMilliseconds());
        Assert.Null(await Store.FindAsync(tenant.Ownership, id, Now, CancellationToken.None));
    }

    [Theory]
    [InlineData("builds/42", "builds/42/app.js", "builds/42_x", "builds/42")]
    [InlineData("a%", "a%b")]
    [InlineData("a_", "a_b", "a_")]
    [InlineData("nothing")]
    [InlineData("Builds")]
    public async Task ListAsync_RemotePathPrefix_IsTakenAsItIs(string prefix, params string[] expected)
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant);
        foreach (var path in new[] { "builds/42/app.js", "builds/42_x", "builds/42", "builds/41", "a%b", "axb", "a_b", "a_", null })
        {
            await AddStoredAsync(tenant, sandbox, change: a => a with { RemotePath = path });
        }

        var found = await ListAsync(tenant.Ownership, new ArtifactFilter { RemotePathPrefix = prefix, Limit = 100 });

        Assert.Equal(expected.Order(), found.Select(a => a.RemotePath!).Order());
        var exact = await ListAsync(tenant.Ownership, new ArtifactFilter { RemotePath = prefix, Limit = 100 });
        Assert.Equal(expected.Where(e => e == prefix), exact.Select(a => a.RemotePath!));
    }

    [Fact]
    public async Task ListAsync_Filters_Combine()
    {
        var tenant = await fixture.AddTenantAsync();
        var (one, other) = (await fixture.AddReadyAsync(tenant), await fixture.AddReadyAsync(tenant));
        Dictionary<string, string> both = new() { ["step"] = "bundle", ["dotted.key"] = "1" };
        var wanted = await AddStoredAsync(tenant, one, change: a => a with { Metadata = both, SessionId = null, RemotePath = "x" });
        await AddStoredAsync(tenant, other, change: a => a with { Metadata = both, RemotePath = "x" });
        await AddStoredAsync(tenant, one, change: a => a with { Metadata = new Dictionary<string, string> { ["step"] = "bundle" }, RemotePath = "x" });
        await AddStoredAsync(tenant, one, change: a => a with { Metadata = both, RemotePath = "y" });

        var found = await ListAsync(tenant.Ownership, new ArtifactFilter
        {
            SandboxId = one,
            ProjectId = tenant.ProjectId,
            RemotePath = "x",
            Metadata = both,
            Limit = 100,
        });

        Assert.Equal(wanted, Assert.Single(found).Id);
        Assert.Empty(await ListAsync(tenant.Ownership, new ArtifactFilter { ProjectId = "prj_other", Limit = 100 }));
        Assert.Empty(await ListAsync(tenant.Ownership, new ArtifactFilter { SessionId = "ases_none", Limit = 100 }));
    }

    [Fact]
    public async Task ListAsync_Pages_AreNewestFirstWithoutGaps()
    {
        var tenant = await fixture.AddTenantAsync();
        var sandbox = await fixture.AddReadyAsync(tenant);
        // Two of each moment: ties go by id.
        foreach (var i in Enumerable.Range(0, 6))
        {
            await AddStoredAsync(tenant, sandbox, change: a => a with { CreatedAt = Now.AddSeconds(i / 2) });
        }

        var all = await ListAsync(tenant.Ownership, new ArtifactFilter { Limit = 100 });
        var paged = new List<ArtifactRow>();
        while (true)
        {
            var after = paged.Count == 0 ? null : new ListPosition(paged[^1].CreatedAt, paged[^1].Id);
            var page = await ListAsync(tenant.Ownership, new ArtifactFilter { After = after, Limit = 4 });
            if (page.Count == 0)
            {
                break;
            }

            paged.AddRange(page);
        }

        Assert.Equal(6, all.Count);
        Assert.Equal(all.Select(a => a.Id), paged.Select(a => a.Id));
        Assert.Equal(all.OrderByDescending(a => a.CreatedAt).Select(a => a.CreatedAt), all.Select(a => a.CreatedAt));
    }

    private static NewArtifact New(Tenant tenant, string sandbox)
    {
        var id = Ids.New(Ids.Artifact);
        return new NewArtifact
        {
            Id = id,
            SandboxId = sandbox,
            Name = "file",
            ObjectKey = ObjectKey.Artifact(tenant.OrgId, id),
            ContentType = "text/plain",
            CreatedAt = Now,
            RetentionExpiresAt = Now.AddDays(1),
        };
    }

    private Task<List<ArtifactRow>> ListAsync(Ownership owner, ArtifactFilter filter) =>
        Store.ListAsync(owner, filter, Now, CancellationToken.None);

    private Task<string> AddStoredAsync(Tenant tenant, string sandbox, long size = 3, Func<NewArtifact, NewArtifact>? change = null) =>
        AddAsync(tenant, sandbox, ArtifactStates.Stored, size, change);

    private async Task<string> AddAsync(
        Tenant tenant, string sandbox, string state, long size = 3, Func<NewArtifact, NewArtifact>? change = null)
    {
        var artifact = New(tenant, sandbox);
        if (state == "none")
        {
            return artifact.Id;
        }

        await Store.InsertAsync(change is null ? artifact : change(artifact), CancellationToken.None);
        if (state != ArtifactStates.Storing)
        {
            Assert.NotNull(await Store.MarkStoredAsync(artifact.Id, size, Digest, null, Now, CancellationToken.None));
        }

        if (state == ArtifactStates.Deleted)
        {
            Assert.NotNull(await Store.DeleteAsync(tenant.Ownership, artifact.Id, Now, CancellationToken.None));
        }

        return artifact.Id;
    }
}
