namespace CrowNest.Worker.Nodes;

/// <summary>The worker cannot run here; the message is for the operator and says what to do.</summary>
internal sealed class StartupException(string message, Exception? inner = null) : Exception(message, inner);
