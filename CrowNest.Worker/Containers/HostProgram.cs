using System.ComponentModel;
using System.Diagnostics;

namespace CrowNest.Worker.Containers;

/// <summary>Runs a program of the node by an argument array, never through a shell.</summary>
internal static class HostProgram
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Its standard output.</summary>
    /// <exception cref="HostProgramException">It is missing, ended with an error (the message has its words), or took too long.</exception>
    public static async Task<string> RunAsync(string program, string[] arguments, string? input, CancellationToken cancellationToken)
    {
        var (exitCode, output, error) = await TryRunAsync(program, arguments, input, cancellationToken);
        return exitCode == 0 ? output : throw new HostProgramException(
            $"{program} {string.Join(' ', arguments)} ended with {exitCode}: {(error.Length > 0 ? error : output).Trim()}");
    }

    /// <summary>As <see cref="RunAsync"/>, for programs whose exit code is an answer.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> TryRunAsync(
        string program, string[] arguments, string? input, CancellationToken cancellationToken)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        try
        {
            process.Start();
        }
        catch (Win32Exception exception)
        {
            throw new HostProgramException($"{program} cannot be started: {exception.Message}. Is it installed?", exception);
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, await output, await error);
        }
        catch (IOException exception)
        {
            // It closed its input early; what it said about that is in its error stream.
            await process.WaitForExitAsync(limit.Token);
            throw new HostProgramException($"{program} did not read its input: {exception.Message}", exception);
        }
        catch (OperationCanceledException exception)
        {
            process.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            throw new HostProgramException(
                $"{program} {string.Join(' ', arguments)} did not end within {Limit.TotalSeconds} s.", exception);
        }
    }
}

/// <summary>A program of the node failed.</summary>
internal sealed class HostProgramException(string message, Exception? inner = null) : Exception(message, inner);
