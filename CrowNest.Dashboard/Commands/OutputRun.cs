using System.Text.Json.Serialization;

namespace CrowNest.Dashboard.Commands;

/// <summary>
/// A piece of output in one look, as the page's script takes it. Text holds <c>\n</c>, <c>\r</c> and tab as its only controls.
/// </summary>
/// <param name="Stream"><c>out</c>, <c>err</c>, or <c>note</c> for what the dashboard itself says.</param>
/// <param name="Classes">Of the stylesheet, separated by blanks.</param>
/// <param name="Foreground"><c>#rrggbb</c> where the palette's classes do not do.</param>
internal sealed record OutputRun(
    [property: JsonPropertyName("s")] string Stream,
    [property: JsonPropertyName("t")] string Text,
    [property: JsonPropertyName("c"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Classes = null,
    [property: JsonPropertyName("f"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Foreground = null,
    [property: JsonPropertyName("b"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Background = null)
{
    public const string Out = "out";
    public const string Err = "err";
    public const string Note = "note";
}
