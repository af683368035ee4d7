using Xunit.Sdk;
using Xunit.v3;

// Each class has an agent of its own, and waits for its container and for signals as much as it computes.
[assembly: Parallelization(Mode = ParallelMode.Collections, MaxThreads = 3)]
