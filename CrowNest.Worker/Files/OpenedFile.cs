using CrowNest.Worker.Agents;

namespace CrowNest.Worker.Files;

/// <summary>A file of a sandbox that is being read; disposing it before its end closes the connection.</summary>
/// <param name="Content">At most <see cref="FileHead.SizeBytes"/> bytes; fewer when the file shrinks.</param>
internal sealed record OpenedFile(FileHead Head, AgentBody Content, AgentTimeouts Patience) : IAsyncDisposable
{
    public async ValueTask DisposeAsync()
    {
        await Content.DisposeAsync();
        Patience.Dispose();
    }
}
