using CrowNest.Testing;
using Xunit;

// One server for all classes, which run in parallel; each class has a database of its own.
[assembly: AssemblyFixture(typeof(PostgresFixture))]
