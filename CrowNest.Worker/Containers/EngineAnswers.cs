using System.Net.Sockets;
using System.Text.Json;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace CrowNest.Worker.Containers;

/// <summary>What the engine's answers and silences mean to a node.</summary>
internal static class EngineAnswers
{
    /// <summary>The engine writes names with a slash in front.</summary>
    public static string Name(this ContainerListResponse container) =>
        container.Names is [var name, ..] ? name.TrimStart('/') : container.ID;

    /// <summary>null when the container does not have the label.</summary>
    public static string? Label(this ContainerListResponse container, string label) =>
        container.Labels is { } labels && labels.TryGetValue(label, out var value) ? value : null;

    /// <summary>One line of the stream of events.</summary>
    /// <exception cref="JsonException">It is none.</exception>
    public static Message ToEvent(string line) =>
        JsonSerializer.Deserialize<Message>(line) is { Action: not null, Actor: { ID: not null, Attributes: not null } } happened
            ? happened
            : throw new JsonException("An event must have an action, and an actor with attributes.");

    /// <summary>What a failed call says to operators; null when the failure is not the engine's.</summary>
    /// <param name="socketPath">Where the engine was asked.</param>
    public static EngineException? ToEngineException(Exception failure, string socketPath) => failure switch
    {
        DockerApiException refusal => new EngineException(Words(refusal), refusal.StatusCode, refusal),
        JsonException or NotSupportedException => new EngineException(
            $"What answers at {socketPath} does not speak the engine's API: {failure.Message}", null, failure),
        HttpRequestException or IOException or SocketException => new EngineException(
            // The system's own message for a missing socket speaks of addresses.
            $"The container engine does not answer at {socketPath}: "
            + (Path.Exists(socketPath) ? failure.InnerException?.Message ?? failure.Message : "there is no such socket"),
            null, failure),
        _ => null,
    };

    private static string Words(DockerApiException refusal)
    {
        var text = refusal.ResponseBody ?? "";
        try
        {
            using var body = JsonDocument.Parse(text);
            return body.RootElement.GetProperty("message").GetString() ?? text;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return $"{(int)refusal.StatusCode} {text}".TrimEnd();
        }
    }
}
