using CrowNest.Testing;
using Xunit;

namespace CrowNest.Worker.Tests;

/// <summary>One Postgres and one Redis for all tests of a node.</summary>
public sealed class BackingServices : IAsyncLifetime
{
    public PostgresFixture Postgres { get; } = new();
    public RedisFixture Redis { get; } = new();

    public Task InitializeAsync() => Task.WhenAll(Postgres.InitializeAsync(), Redis.InitializeAsync());

    public Task DisposeAsync() => Task.WhenAll(Postgres.DisposeAsync(), Redis.DisposeAsync());
}

/// <summary>Tests of whole nodes run one after the other: each starts containers on the one engine.</summary>
[CollectionDefinition(Name)]
public sealed class NodeTests : ICollectionFixture<BackingServices>
{
    public const string Name = "nodes";
}
