using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;

namespace CrowNest.Dashboard.Commands;

/// <summary>The place on the page that shows output; the browser keeps its lines, not the circuit.</summary>
internal sealed class OutputFrame(IJSRuntime script, ElementReference element)
{
    public ValueTask AttachAsync(CancellationToken cancellationToken) =>
        script.InvokeVoidAsync("crownest.output.attach", cancellationToken, element);

    /// <summary>Appends; returns when the browser has taken it, so that a flood waits here instead of in memory.</summary>
    public ValueTask AppendAsync(IReadOnlyList<OutputRun> runs, CancellationToken cancellationToken) =>
        script.InvokeVoidAsync("crownest.output.append", cancellationToken, element, runs);
}
