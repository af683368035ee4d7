using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace CrowNest.Dashboard.Tests;

/// <summary>Holds every exchange with the fake API against the real one's document: a page must not work by what only the fake does.</summary>
internal sealed class ContractCheck(ApiContract contract)
{
    private const string Json = "application/json";

    public ConcurrentQueue<string> Faults { get; } = new();

    public async Task InvokeAsync(HttpContext context, Func<Task> next)
    {
        var request = context.Request;
        if (!request.Path.StartsWithSegments("/v1", StringComparison.Ordinal))
        {
            await next();
            return;
        }

        JsonElement? sent = null;
        if (request.HasJsonContentType())
        {
            request.EnableBuffering();
            sent = await JsonSerializer.DeserializeAsync<JsonElement>(request.Body);
            request.Body.Position = 0;
        }

        Add(contract.FaultsOfRequest(request.Method, request.Path, request.Query.Keys, sent));
        var body = context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        using var copy = new CopyOfJson(context.Response, body.Stream);
        context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(copy, body));
        await next();
        await context.Response.BodyWriter.FlushAsync();
        if (context.RequestAborted.IsCancellationRequested)
            return;
        Add(contract.FaultsOfAnswer(request.Method, request.Path, context.Response.StatusCode, context.Response.ContentType, copy.Value));
    }

    private void Add(IEnumerable<string> faults)
    {
        foreach (var fault in faults)
            Faults.Enqueue(fault);
    }

    /// <summary>Passes everything on, and keeps what is JSON; files and streams may be endless.</summary>
    private sealed class CopyOfJson(HttpResponse response, Stream inner) : Stream
    {
        private readonly MemoryStream _kept = new();

        public JsonElement? Value => _kept.Length > 0 ? JsonSerializer.Deserialize<JsonElement>(_kept.ToArray()) : null;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (response.ContentType?.StartsWith(Json, StringComparison.Ordinal) == true)
                _kept.Write(buffer.Span);
            await inner.WriteAsync(buffer, cancellationToken);
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override void Flush() => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
