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

    [LoggerMessage(1, LogLevel.Error, "{Method} {Path} failed")]
    private partial void LogUnexpected(Exception exception, string method, PathString path);

    [LoggerMessage(2, LogLevel.Warning, "{Method} {Path} broke off in its answer")]
    private partial void LogBrokenOff(Exception exception, string method, PathString path);
}
