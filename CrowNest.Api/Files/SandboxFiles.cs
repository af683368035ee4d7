using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using CrowNest.Api.Auth;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Api.Sandboxes;
using CrowNest.Contracts;
using CrowNest.Platform.Nodes;
using CrowNest.Platform.Sandboxes;
using CrowNest.Platform.Tenancy;

namespace CrowNest.Api.Files;

/// <summary>
/// Files of a caller's sandbox. A handler finds the sandbox, then reads what it is asked, and only then the sandbox is waited for: the
/// order of checks of docs/reference/api.md 2.6.
/// </summary>
internal sealed class SandboxFiles(
    SandboxStore sandboxes, SandboxReadiness readiness, SandboxNode node, NodeClient client, UsageStore usage, TimeProvider time)
{
    /// <summary>The caller's sandbox, whatever its state.</summary>
    /// <exception cref="ApiException">404.</exception>
    public async Task<SandboxRow> FindAsync(Caller caller, string sandboxId, CancellationToken cancellationToken) =>
        await sandboxes.FindAsync(caller.Ownership, sandboxId, cancellationToken) ?? throw ApiException.NotFound("Sandbox");

    /// <summary>Returns once the sandbox takes work.</summary>
    /// <returns>Its node.</returns>
    /// <exception cref="ApiException">409 or 410.</exception>
    public async Task<string> ReadyAsync(SandboxRow sandbox, CancellationToken cancellationToken)
    {
        var row = sandbox;
        return await readiness.AcceptAsync(LookAsync, cancellationToken);

        async Task<WorkAttempt<string>> LookAsync()
        {
            row ??= await sandboxes.FindAsync(sandbox.Id, cancellationToken) ?? throw ApiException.NotFound("Sandbox");
            var state = SandboxNode.StateOf(row, time.GetUtcNow());
            var attempt = new WorkAttempt<string>(state == SandboxStatus.Ready ? row.WorkerId : null, state);
            row = null;
            return attempt;
        }
    }

    /// <summary>Asks the sandbox's agent something that it answers in JSON.</summary>
    /// <param name="route">See <see cref="Route"/>.</param>
    public async Task<T> AskAsync<T>(
        SandboxRow sandbox, HttpMethod method, string route, Func<HttpContent>? body, CancellationToken cancellationToken)
    {
        var workerId = await ReadyAsync(sandbox, cancellationToken);
        return await node.CallAsync(
            sandbox.Id, workerId, w => client.AskFilesAsync<T>(w, sandbox.Id, method, route, body?.Invoke(), cancellationToken),
            cancellationToken);
    }

    /// <summary>Removes a file; the agent answers without a body.</summary>
    public async Task DeleteAsync(SandboxRow sandbox, string route, CancellationToken cancellationToken)
    {
        var workerId = await ReadyAsync(sandbox, cancellationToken);
        using var deleted = await node.CallAsync(
            sandbox.Id, workerId, w => client.OpenFilesAsync(w, sandbox.Id, HttpMethod.Delete, route, cancellationToken), cancellationToken);
    }

    /// <summary>Opens a stream of the sandbox's agent; the caller disposes it.</summary>
    public async Task<HttpResponseMessage> OpenAsync(SandboxRow sandbox, string route, CancellationToken cancellationToken)
    {
        var workerId = await ReadyAsync(sandbox, cancellationToken);
        return await node.CallAsync(
            sandbox.Id, workerId, w => client.OpenFilesAsync(w, sandbox.Id, HttpMethod.Get, route, cancellationToken), cancellationToken);
    }

    /// <summary>Sends a client's body on, whole or not at all.</summary>
    /// <param name="content">Makes the body; asked again when the node has not heard of the first one.</param>
    public async Task<T> UploadAsync<T>(SandboxRow sandbox, string route, Func<UploadContent> content, CancellationToken cancellationToken)
    {
        var body = content();
        body.CheckLength();
        var workerId = await ReadyAsync(sandbox, cancellationToken);
        try
        {
            return await node.CallAsync(
                sandbox.Id, workerId,
                w => client.AskFilesAsync<T>(w, sandbox.Id, HttpMethod.Put, route, body = content(), cancellationToken), cancellationToken);
        }
        catch (Exception e) when (body.Failure is { } failure && e != failure)
        {
            // To us it looks as if the connection to the node broke; what did is on the client's side.
            ExceptionDispatchInfo.Throw(failure);
            throw;
        }
    }

    /// <summary>Counts bytes that a request has written (docs/reference/api.md 6).</summary>
    public Task CountWrittenAsync(SandboxRow sandbox, long bytes, CancellationToken cancellationToken) =>
        usage.RecordAsync(sandbox.OrgId, sandbox.ProjectId, "file_bytes_written", bytes, sandbox.Id, time.GetUtcNow(), cancellationToken);

    /// <summary>A route below the agent's <c>/files</c> with its query; parameters that are null are left out.</summary>
    public static string Route(string operation, params ReadOnlySpan<(string Name, object? Value)> query)
    {
        var route = new StringBuilder(operation);
        var separator = '?';
        foreach (var (name, value) in query)
        {
            if (value is not null)
            {
                var text = value is bool flag ? (flag ? "true" : "false") : Convert.ToString(value, CultureInfo.InvariantCulture)!;
                route.Append(separator).Append(name).Append('=').Append(Uri.EscapeDataString(text));
                separator = '&';
            }
        }

        return route.ToString();
    }

    public static FileStat ToStat(AgentFile file) =>
        new(file.Path, file.Type, file.SizeBytes, DateTimeOffset.FromUnixTimeMilliseconds(file.ModifiedAt));

    public static FileEntry ToEntry(AgentFile file) => new(
        file.Name ?? file.Path[(file.Path.LastIndexOf('/') + 1)..], file.Path, file.Type, file.SizeBytes,
        DateTimeOffset.FromUnixTimeMilliseconds(file.ModifiedAt));
}
