using System.Text.Json.Nodes;
using CrowNest.Api.Http;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Sandboxes;

/// <summary>What one try to give a sandbox work came to.</summary>
/// <param name="Accepted">null: the sandbox did not take it.</param>
/// <param name="SandboxState">Its stored state; <c>expiring</c> when it is past its deadline.</param>
internal readonly record struct WorkAttempt<T>(T? Accepted, string SandboxState) where T : class;

/// <summary>
/// Work for a sandbox that is still being made waits for it; one that has ended takes none (docs/reference/api.md 4.2, 4.3).
/// </summary>
internal sealed class SandboxReadiness(IOptions<SandboxOptions> options, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Tries until the sandbox takes the work, while it is being made.</summary>
    /// <exception cref="ApiException">409: not ready within <see cref="SandboxOptions.WorkWait"/>; 410: gone.</exception>
    public async Task<T> AcceptAsync<T>(Func<Task<WorkAttempt<T>>> attempt, CancellationToken cancellationToken) where T : class
    {
        var began = time.GetTimestamp();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (accepted, state) = await attempt();
            if (accepted is not null)
            {
                return accepted;
            }

            if (state is not (SandboxStatus.Creating or SandboxStatus.Starting))
            {
                throw Gone(state);
            }

            if (time.GetElapsedTime(began) >= options.Value.WorkWait)
            {
                throw new ApiException(ErrorCodes.Conflict, "The sandbox is still being made: try again when it is ready.",
                    new JsonObject { ["status"] = state });
            }

            await Task.Delay(PollInterval, time, cancellationToken);
        }
    }

    /// <summary>410: the sandbox takes no more work.</summary>
    /// <param name="status">What it is instead of live.</param>
    public static ApiException Gone(string status) => new(
        ErrorCodes.SandboxDestroyed, $"The sandbox is {status} and takes no more work.", new JsonObject { ["status"] = status });
}
