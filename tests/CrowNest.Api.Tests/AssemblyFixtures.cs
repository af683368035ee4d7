using CrowNest.Testing;
using Xunit;
using Xunit.Sdk;
using Xunit.v3;

// One Postgres and one Redis for all classes; a test or a class has a database of its own.
[assembly: AssemblyFixture(typeof(PostgresFixture))]
[assembly: AssemblyFixture(typeof(RedisFixture))]
// Classes wait for their servers more than they compute: more of them at once than there are processors.
[assembly: Parallelization(Mode = ParallelMode.Collections, MaxThreads = 4)]
