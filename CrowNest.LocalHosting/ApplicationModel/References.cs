using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A value that is known only once the application starts.</summary>
public interface IValueProvider
{
    /// <summary>The value now.</summary>
    ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default);
}

/// <summary>A part of an endpoint's address.</summary>
public enum EndpointProperty
{
    /// <summary><c>scheme://host:port</c></summary>
    Url,

    /// <summary>The name or address clients use.</summary>
    Host,

    /// <summary>The loopback address.</summary>
    IPV4Host,

    /// <summary>The port clients use.</summary>
    Port,

    /// <summary><c>http</c>, <c>https</c> or <c>tcp</c>.</summary>
    Scheme,

    /// <summary>The port the process listens on; locally the same as <see cref="Port"/>.</summary>
    TargetPort,

    /// <summary><c>host:port</c></summary>
    HostAndPort,
}

/// <summary>Names an endpoint of a resource; the address is there once the application has been built.</summary>
public sealed class EndpointReference(IResourceWithEndpoints owner, string endpointName) : IValueProvider
{
    /// <summary>The resource that listens.</summary>
    public IResourceWithEndpoints Resource { get; } = owner;

    /// <summary>The endpoint's name, unique within the resource.</summary>
    public string EndpointName { get; } = endpointName;

    /// <summary>Whether the resource has such an endpoint.</summary>
    public bool Exists => Find() is not null;

    /// <summary><c>http://127.0.0.1:8787</c></summary>
    public string Url => $"{Scheme}://{Host}:{Port.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Always the loopback address: the local flavour does not span machines.</summary>
    public string Host { get; } = EndpointAnnotation.Loopback;

    /// <summary>The port.</summary>
    public int Port => Annotation.AllocatedPort(replica: 0);

    /// <summary>The scheme.</summary>
    public string Scheme => Annotation.UriScheme;

    private EndpointAnnotation Annotation => Find()
        ?? throw new DistributedApplicationException($"Resource `{Resource.Name}` has no endpoint named `{EndpointName}`.");

    /// <summary>One part of the address.</summary>
    public EndpointReferenceExpression Property(EndpointProperty property) => new(this, property);

    /// <inheritdoc />
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult<string?>(Url);

    private EndpointAnnotation? Find() => Resource.Annotations.OfType<EndpointAnnotation>()
        .FirstOrDefault(endpoint => string.Equals(endpoint.Name, EndpointName, StringComparison.OrdinalIgnoreCase));
}

/// <summary>One part of an endpoint's address, resolved when it is used.</summary>
public sealed class EndpointReferenceExpression(EndpointReference endpoint, EndpointProperty property) : IValueProvider
{
    /// <inheritdoc />
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult<string?>(property switch
    {
        EndpointProperty.Url => endpoint.Url,
        EndpointProperty.Host or EndpointProperty.IPV4Host => endpoint.Host,
        EndpointProperty.Port or EndpointProperty.TargetPort => endpoint.Port.ToString(CultureInfo.InvariantCulture),
        EndpointProperty.Scheme => endpoint.Scheme,
        EndpointProperty.HostAndPort => $"{endpoint.Host}:{endpoint.Port.ToString(CultureInfo.InvariantCulture)}",
        _ => throw new InvalidOperationException($"{property} is no part of an address."),
    });
}

/// <summary>Text with values in it that are known only at start: <c>ReferenceExpression.Create($"{host}:{port}")</c>.</summary>
public sealed class ReferenceExpression : IValueProvider
{
    private readonly List<object> _parts;

    private ReferenceExpression(List<object> parts) => _parts = parts;

    /// <summary>Makes an expression of an interpolated string whose holes are text or value providers.</summary>
    public static ReferenceExpression Create(in ExpressionInterpolatedStringHandler handler) => new(handler.Parts);

    /// <inheritdoc />
    public async ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default)
    {
        var text = new StringBuilder();
        foreach (var part in _parts)
            text.Append(part is IValueProvider provider ? await provider.GetValueAsync(cancellationToken) : (string)part);
        return text.ToString();
    }

    /// <summary>What the compiler turns the interpolated string into.</summary>
    [InterpolatedStringHandler]
    public readonly ref struct ExpressionInterpolatedStringHandler
    {
        /// <summary>Called by the compiler.</summary>
        public ExpressionInterpolatedStringHandler(int literalLength, int formattedCount)
        {
            _ = literalLength;
            Parts = new List<object>((formattedCount * 2) + 1);
        }

        internal List<object> Parts { get; }

        /// <summary>Text between the holes.</summary>
        public void AppendLiteral(string value) => Parts.Add(value);

        /// <summary>A hole with text that is already known.</summary>
        public void AppendFormatted(string? value) => Parts.Add(value ?? "");

        /// <summary>A hole that is resolved at start.</summary>
        public void AppendFormatted<T>(T valueProvider) where T : IValueProvider => Parts.Add(valueProvider);
    }
}
