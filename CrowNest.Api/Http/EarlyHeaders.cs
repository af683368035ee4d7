using System.Text.Json;
using CrowNest.Contracts;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Http;

/// <summary>
/// OP-6: Node's HTTP client gives up after 300 s without headers. A held answer sends 200 and its headers after
/// <see cref="ApiOptions.EarlyHeadersAfter"/> and a newline at every <see cref="ApiOptions.HeartbeatInterval"/> until the JSON follows.
/// </summary>
internal static class EarlyHeaders
{
    /// <summary>
    /// Answers 200 with the outcome's JSON. To be used once the work is launched: what fails after the headers were sent can only break the
    /// connection off.
    /// </summary>
    public static IResult Json<T>(Task<T> outcome) => new Held<T>(outcome);

    private sealed class Held<T>(Task<T> outcome) : IResult
    {
        public async Task ExecuteAsync(HttpContext context)
        {
            var options = context.RequestServices.GetRequiredService<IOptions<ApiOptions>>().Value;
            var time = context.RequestServices.GetRequiredService<TimeProvider>();
            var aborted = context.RequestAborted;
            var started = false;
            var wait = options.EarlyHeadersAfter;
            while (!await IsDoneWithinAsync(wait, time, aborted))
            {
                if (!started)
                {
                    SetHeaders(context.Response);
                }

                started = true;
                // Under an idempotency key the body is held back to be stored first; the newlines go past it.
                var client = context.Features.Get<ResponseCapture>()?.Client ?? context.Response.Body;
                await client.WriteAsync("\n"u8.ToArray(), aborted);
                await client.FlushAsync(aborted);
                wait = options.HeartbeatInterval;
            }

            var value = await outcome;
            if (!started)
            {
                SetHeaders(context.Response);
            }

            await JsonSerializer.SerializeAsync(context.Response.Body, value, CrowNestJson.Options, aborted);
        }

        private async Task<bool> IsDoneWithinAsync(TimeSpan wait, TimeProvider time, CancellationToken aborted)
        {
            try
            {
                await outcome.WaitAsync(wait, time, aborted);
                return true;
            }
            catch (TimeoutException)
            {
                // Ours, or the outcome's own, which is then thrown where the outcome is taken.
                return outcome.IsCompleted;
            }
        }

        private static void SetHeaders(HttpResponse response)
        {
            response.StatusCode = StatusCodes.Status200OK;
            response.ContentType = "application/json; charset=utf-8";
        }
    }
}
