using System.Collections.Concurrent;
using System.Net;
using System.Text;
using CrowNest.Testing;

namespace CrowNest.EndToEnd;

/// <param name="Service">Name of the process that made the span.</param>
/// <param name="Parent">Empty for the root of a trace.</param>
internal sealed record CollectedSpan(string Service, string TraceId, string Id, string Parent, string Name);

/// <summary>Takes traces as an operator's collector would: OTLP over HTTP, protobuf.</summary>
internal sealed class TraceCollector : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly ConcurrentQueue<CollectedSpan> _spans = new();

    private TraceCollector(int port)
    {
        Endpoint = $"http://127.0.0.1:{port}";
        _listener.Prefixes.Add($"{Endpoint}/");
        _listener.Start();
        _ = Task.Run(ReceiveAsync);
    }

    public string Endpoint { get; }

    public static TraceCollector Start() => new(FreePort.Next());

    public IReadOnlyList<CollectedSpan> Trace(string traceId) => [.. _spans.Where(s => s.TraceId == traceId)];

    public void Dispose() => _listener.Close();

    private async Task ReceiveAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            using var body = new MemoryStream();
            await context.Request.InputStream.CopyToAsync(body);
            if (context.Request.Url!.AbsolutePath == "/v1/traces")
            {
                Read(body.ToArray());
            }

            context.Response.ContentType = "application/x-protobuf";
            context.Response.Close();
        }
    }

    /// <summary>
    /// ExportTraceServiceRequest: resource_spans = 1 { resource = 1 { attributes = 1 { key = 1, value = 2 { string = 1 } } },
    /// scope_spans = 2 { spans = 2 { trace_id = 1, span_id = 2, parent_span_id = 4, name = 5 } } }.
    /// </summary>
    private void Read(ReadOnlyMemory<byte> request)
    {
        foreach (var resource in Fields(request, 1))
        {
            var service = Fields(resource, 1).SelectMany(r => Fields(r, 1))
                .Where(a => Text(a, 1) == "service.name").Select(a => Text(Fields(a, 2).Single(), 1)).Single();
            foreach (var span in Fields(resource, 2).SelectMany(scope => Fields(scope, 2)))
            {
                _spans.Enqueue(new CollectedSpan(service, Hex(span, 1), Hex(span, 2), Hex(span, 4), Text(span, 5)));
            }
        }
    }

    private static string Text(ReadOnlyMemory<byte> message, int field) =>
        string.Concat(Fields(message, field).Select(value => Encoding.UTF8.GetString(value.Span)));

    private static string Hex(ReadOnlyMemory<byte> message, int field) =>
        string.Concat(Fields(message, field).Select(value => Convert.ToHexStringLower(value.Span)));

    /// <summary>The length-delimited fields with this number; others are skipped by their wire type.</summary>
    private static List<ReadOnlyMemory<byte>> Fields(ReadOnlyMemory<byte> message, int number)
    {
        var found = new List<ReadOnlyMemory<byte>>();
        for (var at = 0; at < message.Length;)
        {
            var tag = Varint(message.Span, ref at);
            switch (tag & 7)
            {
                case 0:
                    Varint(message.Span, ref at);
                    break;
                case 1:
                    at += 8;
                    break;
                case 5:
                    at += 4;
                    break;
                default:
                    var length = (int)Varint(message.Span, ref at);
                    if (tag >> 3 == (ulong)number)
                    {
                        found.Add(message.Slice(at, length));
                    }

                    at += length;
                    break;
            }
        }

        return found;
    }

    private static ulong Varint(ReadOnlySpan<byte> bytes, ref int at)
    {
        var value = 0UL;
        for (var shift = 0; ; shift += 7)
        {
            var b = bytes[at++];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }
    }
}
