using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;

namespace CrowNest.Client;

/// <summary>
/// Server-sent events as the contract's clients read them (docs/reference/clients.md 1.1): blocks separated by an empty line, of which only
/// <c>data:</c> lines count; a last block without its empty line is still delivered.
/// </summary>
internal static class SseReader
{
    /// <summary>
    /// A terminal event carries both captures, 2 × 262 144 bytes, and JSON writes a control character as six; a line far beyond that is
    /// not our server.
    /// </summary>
    private const int MaxLineBytes = 8 * 1024 * 1024;

    /// <summary>The data of each block.</summary>
    /// <exception cref="InvalidDataException">A line is longer than any event.</exception>
    public static async IAsyncEnumerable<string> ReadAsync(
        Stream stream, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 32 * 1024, leaveOpen: true));
        try
        {
            var block = new StringBuilder();
            var hasData = false;
            while (true)
            {
                var result = await reader.ReadAsync(cancellationToken);
                var buffer = result.Buffer;
                while (TakeLine(ref buffer, result.IsCompleted, out var line))
                {
                    if (line.Length > 0)
                    {
                        hasData |= Append(block, line, hasData);
                    }
                    else if (hasData)
                    {
                        yield return block.ToString();
                        block.Clear();
                        hasData = false;
                    }
                }

                if (buffer.Length > MaxLineBytes)
                    throw new InvalidDataException($"A line of the stream is longer than {MaxLineBytes} bytes.");
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                    break;
            }

            if (hasData)
                yield return block.ToString();
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    private static bool TakeLine(ref ReadOnlySequence<byte> buffer, bool isCompleted, out string line)
    {
        if (buffer.PositionOf((byte)'\n') is { } end)
        {
            line = Encoding.UTF8.GetString(buffer.Slice(0, end)).TrimEnd('\r');
            buffer = buffer.Slice(buffer.GetPosition(1, end));
            return true;
        }

        line = isCompleted ? Encoding.UTF8.GetString(buffer) : "";
        var taken = isCompleted && !buffer.IsEmpty;
        if (taken)
            buffer = buffer.Slice(buffer.End);
        return taken;
    }

    private static bool Append(StringBuilder block, string line, bool hasData)
    {
        if (!line.StartsWith("data:", StringComparison.Ordinal))
            return false;
        if (hasData)
            block.Append('\n');
        block.Append(line.AsSpan("data:".Length).TrimStart());
        return true;
    }
}
