namespace CrowNest.Agent.Http;

/// <summary>Middleware: every failure leaves as the envelope of docs/protocols.md 2, an unexpected one without its inside.</summary>
internal sealed partial class ErrorAnswers(RequestDelegate next, ILogger<ErrorAnswers> log)
{
    public async Task InvokeAsync(HttpContext http)
    {
        try
        {
            await next(http);
        }
        catch (Exception e) when (http.Response.HasStarted || http.RequestAborted.IsCancellationRequested)
        {
            // Half an answer must not look like a whole one.
            if (!http.RequestAborted.IsCancellationRequested) LogBrokenOff(e, http.Request.Method, http.Request.Path);
            http.Abort();
        }
        catch (AgentException e)
        {
            await http.AnswerAsync(e.Error);
            await DrainAsync(http);
        }
        catch (BadHttpRequestException e)
        {
            await http.AnswerAsync(AgentError.InvalidRequest(e.Message) with { Status = e.StatusCode });
        }
        catch (Exception e)
        {
            LogUnexpected(e, http.Request.Method, http.Request.Path);
            await http.AnswerAsync(AgentError.RuntimeError("the agent failed unexpectedly; its log says why"));
        }
    }

    /// <summary>
    /// Reads on what the client is still sending: Kestrel would break off after five seconds, and with the connection the answer goes, for
    /// a client that listens only when it has sent everything.
    /// </summary>
    private async Task DrainAsync(HttpContext http)
    {
        try
        {
            await http.Response.CompleteAsync();
            await http.Request.Body.CopyToAsync(Stream.Null, http.RequestAborted);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            LogNotDrained(e, http.Request.Method, http.Request.Path);
        }
    }

    [LoggerMessage(7003, LogLevel.Debug, "{Method} {Path} was refused before its body had come")]
    private partial void LogNotDrained(Exception exception, string method, PathString path);

    [LoggerMessage(7001, LogLevel.Error, "{Method} {Path} failed")]
    private partial void LogUnexpected(Exception exception, string method, PathString path);

    [LoggerMessage(7002, LogLevel.Warning, "{Method} {Path} broke off in its answer")]
    private partial void LogBrokenOff(Exception exception, string method, PathString path);
}
