using System.Threading.Channels;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Commands;

/// <summary>Decodes output and brings it to its frame; joins what arrives close together, and lets a flood wait for the browser.</summary>
internal sealed class OutputWriter(OutputFrame frame)
{
    /// <summary>Chunks of at most 16 KiB that may wait for a slow browser.</summary>
    private const int WaitingChunks = 64;

    /// <summary>Characters of one message to the browser.</summary>
    private const int BatchCharacters = 128 * 1024;

    private readonly Channel<OutputRun[]> _runs = Channel.CreateBounded<OutputRun[]>(WaitingChunks);
    private readonly AnsiDecoder _stdout = new(OutputRun.Out);
    private readonly AnsiDecoder _stderr = new(OutputRun.Err);

    /// <summary>Writes what is taken in until <see cref="Complete"/>.</summary>
    public async Task WriteAsync(CancellationToken cancellationToken)
    {
        await frame.AttachAsync(cancellationToken);
        var batch = new List<OutputRun>();
        while (await _runs.Reader.WaitToReadAsync(cancellationToken))
        {
            batch.Clear();
            var characters = 0;
            while (characters < BatchCharacters && _runs.Reader.TryRead(out var runs))
            {
                batch.AddRange(runs);
                characters += runs.Sum(run => run.Text.Length);
            }

            await frame.AppendAsync(batch, cancellationToken);
        }
    }

    /// <param name="stream">One of <see cref="OutputStream"/>.</param>
    public async ValueTask TakeAsync(string? stream, string? data, CancellationToken cancellationToken)
    {
        var runs = (stream == OutputStream.Stderr ? _stderr : _stdout).Decode(data ?? "");
        if (runs.Length > 0)
            await _runs.Writer.WriteAsync(runs, cancellationToken);
    }

    /// <summary>What the dashboard itself says among the output.</summary>
    public ValueTask NoteAsync(string text, CancellationToken cancellationToken) =>
        _runs.Writer.WriteAsync([new OutputRun(OutputRun.Note, text + "\n")], cancellationToken);

    public void Complete() => _runs.Writer.Complete();
}
