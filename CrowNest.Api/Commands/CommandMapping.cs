using System.Text;
using CrowNest.Contracts;
using CrowNest.Platform.Commands;

namespace CrowNest.Api.Commands;

internal static class CommandMapping
{
    /// <summary>The row as the API shows it (docs/reference/api.md 5.1).</summary>
    /// <param name="withOutput">Lists leave the captured output out.</param>
    public static Command ToCommand(this CommandRow row, bool withOutput = true)
    {
        var showOutput = withOutput && row.IsFinal;
        return new Command
        {
            Id = row.Id,
            SandboxId = row.SandboxId,
            CommandLine = row.Command,
            Cwd = row.Cwd,
            Status = row.State,
            ExitCode = row.ExitCode,
            Stdout = showOutput ? Decode(row.Stdout, row.StdoutTruncated) : null,
            Stderr = showOutput ? Decode(row.Stderr, row.StderrTruncated) : null,
            StdoutTruncated = showOutput ? row.StdoutTruncated : null,
            StderrTruncated = showOutput ? row.StderrTruncated : null,
            CreatedAt = row.CreatedAt,
            StartedAt = row.StartedAt,
            FinishedAt = row.FinishedAt,
            DurationMs = row.FinishedAt is { } finished && row.IsFinal ? (long)(finished - (row.StartedAt ?? finished)).TotalMilliseconds : null,
            CancelMode = row.CancelMode,
            CanceledAt = row.CanceledAt,
            TerminationSignal = row.TerminationSignal,
            KilledReason = row.KilledReason,
            CollectStatus = row.CollectStatus,
            CollectErrors = row.CollectErrors.Count == 0 ? null : [.. row.CollectErrors.Select(e => new CollectError(e.Code, e.Message, e.Path))],
            FailureMessage = row.State == CommandStatus.Failed ? row.FailureMessage : null,
        };
    }

    /// <summary>UTF-8 with replacement; a code point that the capture limit cut in two is left out.</summary>
    private static string Decode(byte[]? captured, bool truncated)
    {
        var bytes = captured.AsSpan();
        return Encoding.UTF8.GetString(truncated ? bytes[..WholeLength(bytes)] : bytes);
    }

    private static int WholeLength(ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back <= Math.Min(3, bytes.Length); back++)
        {
            var b = bytes[^back];
            if ((b & 0xC0) == 0x80)
            {
                continue;
            }

            var needed = b switch { >= 0xF8 => 1, >= 0xF0 => 4, >= 0xE0 => 3, >= 0xC0 => 2, _ => 1 };
            return needed > back ? bytes.Length - back : bytes.Length;
        }

        return bytes.Length;
    }
}
