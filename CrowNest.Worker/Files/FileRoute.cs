namespace CrowNest.Worker.Files;

/// <summary>What the body of a success is.</summary>
internal enum FileAnswer
{
    Nothing,
    Json,

    /// <summary>The bytes of a file behind a <see cref="FileHead"/>.</summary>
    Content,
    Archive,
}

/// <summary>A route of docs/protocols.md 2.4.</summary>
/// <param name="Path">In the agent, and below the sandbox in the worker.</param>
/// <param name="MaxBodyBytes">Largest body that a caller may send; null: any; 0: none.</param>
/// <param name="Within">What the agent may take: for all of a JSON answer; for the head of another one.</param>
internal sealed record FileRoute(HttpMethod Method, string Path, FileAnswer Answer, long? MaxBodyBytes, TimeSpan Within)
{
    private const long JsonBytes = 1024 * 1024;
    private static readonly TimeSpan Shortly = TimeSpan.FromSeconds(15);

    /// <summary>An extraction's last files are written after its body has arrived; a search has its own limit, which is shorter.</summary>
    private static readonly TimeSpan Later = TimeSpan.FromSeconds(90);

    public static IReadOnlyList<FileRoute> All { get; } =
    [
        new(HttpMethod.Get, "/files", FileAnswer.Json, 0, Later),
        new(HttpMethod.Delete, "/files", FileAnswer.Nothing, 0, Shortly),
        new(HttpMethod.Get, "/files/stat", FileAnswer.Json, 0, Shortly),
        new(HttpMethod.Get, "/files/content", FileAnswer.Content, 0, Shortly),
        new(HttpMethod.Put, "/files/content", FileAnswer.Json, null, Later),
        new(HttpMethod.Post, "/files/mkdir", FileAnswer.Json, JsonBytes, Shortly),
        new(HttpMethod.Post, "/files/move", FileAnswer.Json, JsonBytes, Shortly),
        new(HttpMethod.Get, "/files/archive", FileAnswer.Archive, 0, Later),
        new(HttpMethod.Put, "/files/archive", FileAnswer.Json, null, Later),
        new(HttpMethod.Post, "/files/search", FileAnswer.Json, JsonBytes, Later),
    ];

    public bool HasBody => MaxBodyBytes != 0;
}
