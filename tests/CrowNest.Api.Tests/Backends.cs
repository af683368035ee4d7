using CrowNest.Testing;
using Xunit;

namespace CrowNest.Api.Tests;

/// <summary>One Postgres and one Redis for all tests of the API; each test has a database of its own.</summary>
[CollectionDefinition(Name)]
public sealed class Backends : ICollectionFixture<PostgresFixture>, ICollectionFixture<RedisFixture>
{
    public const string Name = "backends";
}
