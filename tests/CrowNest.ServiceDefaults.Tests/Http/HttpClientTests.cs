using System.Net;
using System.Net.Sockets;
using CrowNest.ServiceDefaults.Http;
using CrowNest.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace CrowNest.ServiceDefaults.Tests.Http;

/// <summary>What clients of the HTTP client factory get: service discovery, and for those who ask, retries of what may be repeated.</summary>
public sealed class HttpClientTests
{
    [Theory]
    [InlineData("https+http://api/")]
    [InlineData("http://api/")]
    public async Task Client_OfAService_ReachesItByItsName(string address)
    {
        await using var api = await TestService.StartAsync();
        await using var other = await TestService.StartAsync(settings: ("services:api:http:0", api.Url));
        using var http = Client(other, "anyone");

        Assert.Equal("""{"status":"ok"}""", await http.GetStringAsync(address + "healthz"));
    }

    [Fact]
    public async Task Client_OfAnOrdinaryAddress_ReachesIt()
    {
        await using var api = await TestService.StartAsync();
        using var http = Client(api, "anyone");

        Assert.Equal("""{"status":"ok"}""", await http.GetStringAsync(api.Url + "/healthz"));
    }

    [Theory]
    [InlineData("GET", 3)]
    [InlineData("HEAD", 3)]
    [InlineData("POST", 1)]
    [InlineData("PUT", 1)]
    [InlineData("PATCH", 1)]
    [InlineData("DELETE", 1)]
    public async Task SafeRetries_NobodyAnswers_RepeatOnlyWhatMayBe(string method, int attempts)
    {
        var calls = new CountedFailures(new HttpRequestException("Nobody answers."));
        await using var service = await StartAsync(calls);
        using var http = Client(service, "retrying");
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://127.0.0.1:9/");

        await Assert.ThrowsAsync<HttpRequestException>(() => http.SendAsync(request));

        Assert.Equal(attempts, calls.Count);
    }

    [Fact]
    public async Task SafeRetries_AnyAnswer_IsTheAnswer()
    {
        var calls = new CountedFailures(null);
        await using var service = await StartAsync(calls);
        using var http = Client(service, "retrying");

        using var answer = await http.GetAsync("http://127.0.0.1:9/");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, 1), (answer.StatusCode, calls.Count));
    }

    [Fact]
    public async Task SafeRetries_ServiceThatComesBack_IsReached()
    {
        await using var service = await TestService.StartAsync(builder => builder.Services.AddHttpClient("retrying").AddSafeRetries());
        using var http = Client(service, "retrying");
        var port = FreePort.Next();
        var asking = http.GetStringAsync($"http://127.0.0.1:{port}/");
        using var listener = new TcpListener(IPAddress.Loopback, port);

        listener.Start();
        using var connection = await listener.AcceptTcpClientAsync();
        await connection.GetStream().WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray());

        Assert.Equal("ok", await asking);
    }

    private static HttpClient Client(TestService service, string name) =>
        service.Services.GetRequiredService<IHttpClientFactory>().CreateClient(name);

    private static Task<TestService> StartAsync(HttpMessageHandler primary) => TestService.StartAsync(builder =>
        builder.Services.AddHttpClient("retrying").ConfigurePrimaryHttpMessageHandler(() => primary).AddSafeRetries());

    private sealed class CountedFailures(Exception? failure) : HttpMessageHandler
    {
        public int Count { get; private set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Count++;
            return failure is null
                ? Task.FromResult(new HttpResponseMessage(HttpStatusCode.ServiceUnavailable))
                : Task.FromException<HttpResponseMessage>(failure);
        }
    }
}
