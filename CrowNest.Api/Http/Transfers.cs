using System.Buffers;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Options;

namespace CrowNest.Api.Http;

/// <summary>
/// Bodies of any size between a client and what serves it: memory stays flat, and a client may be as slow as it likes. One that stops
/// altogether is let go after <see cref="ApiOptions.TransferStallLimit"/>, because it holds a connection to a sandbox or to storage.
/// </summary>
internal sealed partial class Transfers(IOptions<ApiOptions> options, TimeProvider time, ILogger<Transfers> logger)
{
    /// <summary>Large enough that calls cost nothing beside copying.</summary>
    public const int BufferBytes = 128 * 1024;

    /// <summary>Lifts the server's own bounds, which would refuse large bodies and break slow ones off.</summary>
    public static void LiftLimits(HttpContext context)
    {
        context.Features.Get<IHttpMinRequestBodyDataRateFeature>()?.MinDataRate = null;
        context.Features.Get<IHttpMinResponseDataRateFeature>()?.MinDataRate = null;
        var size = context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpMaxRequestBodySizeFeature>();
        if (size is { IsReadOnly: false })
        {
            size.MaxRequestBodySize = null;
        }
    }

    /// <summary>
    /// Sends <paramref name="source"/> to its end as the response's body, reading ahead by one buffer. Headers go with the first bytes, so
    /// that a source which fails at once is still an ordinary error.
    /// </summary>
    public async Task SendAsync(HttpContext context, Stream source)
    {
        LiftLimits(context);
        var (now, next) = (ArrayPool<byte>.Shared.Rent(BufferBytes), ArrayPool<byte>.Shared.Rent(BufferBytes));
        using var stall = Watch(context);
        var sent = 0L;
        var length = await stall.WithinAsync(source.ReadAsync(now, stall.Token));
        while (length > 0)
        {
            var reading = source.ReadAsync(next, stall.Token).AsTask();
            var writing = context.Response.Body.WriteAsync(now.AsMemory(0, length), stall.Token).AsTask();
            stall.Restart();
            try
            {
                await Task.WhenAll(reading, writing);
            }
            catch (OperationCanceledException) when (stall.HasStalled)
            {
                throw stall.Stalled();
            }

            sent += length;
            length = await reading;
            (now, next) = (next, now);
        }

        // Only here: after a failure one of the two operations may still use its buffer.
        ArrayPool<byte>.Shared.Return(now);
        ArrayPool<byte>.Shared.Return(next);
        if (sent < context.Response.ContentLength)
        {
            throw new IOException($"Of {context.Response.ContentLength} bytes that were promised only {sent} came.");
        }
    }

    /// <summary>Watches one transfer.</summary>
    public Stall Watch(HttpContext context) => new(context, options.Value.TransferStallLimit, time, logger);

    /// <summary>A transfer in which something has to happen from time to time.</summary>
    internal sealed class Stall : IDisposable
    {
        private readonly HttpContext _context;
        private readonly TimeSpan _limit;
        private readonly ILogger _logger;
        private readonly CancellationTokenSource _timer;
        private readonly CancellationTokenSource _either;

        public Stall(HttpContext context, TimeSpan limit, TimeProvider time, ILogger logger)
        {
            (_context, _limit, _logger) = (context, limit, logger);
            _timer = new CancellationTokenSource(limit, time);
            _either = CancellationTokenSource.CreateLinkedTokenSource(_timer.Token, context.RequestAborted);
        }

        /// <summary>Fires when the client is gone or nothing has happened for too long.</summary>
        public CancellationToken Token => _either.Token;

        public bool HasStalled => _timer.IsCancellationRequested;

        /// <summary>Something has happened.</summary>
        public void Restart() => _timer.CancelAfter(_limit);

        /// <summary>Awaits one step.</summary>
        public async ValueTask<T> WithinAsync<T>(ValueTask<T> step)
        {
            Restart();
            try
            {
                return await step;
            }
            catch (OperationCanceledException) when (HasStalled)
            {
                throw Stalled();
            }
        }

        /// <summary>Breaks the connection off; throw what it returns.</summary>
        public OperationCanceledException Stalled()
        {
            LogStalled(_logger, _context.Request.Method, _context.Request.Path, _limit);
            _context.Abort();
            return new OperationCanceledException("The transfer stands still.");
        }

        public void Dispose()
        {
            _either.Dispose();
            _timer.Dispose();
        }
    }

    [LoggerMessage(1321, LogLevel.Information, "{Method} {Path}: nothing moved for {Limit}; the connection is broken off.")]
    private static partial void LogStalled(ILogger logger, string method, string path, TimeSpan limit);
}
