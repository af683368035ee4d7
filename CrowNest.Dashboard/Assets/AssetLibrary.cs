using System.Buffers.Binary;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Security.Cryptography;

namespace CrowNest.Dashboard.Assets;

internal sealed record Asset(byte[] Content, string ContentType, string Version);

/// <summary>Stylesheet, scripts and icon, all inside the assembly; each is addressed with a hash of its content.</summary>
internal sealed class AssetLibrary
{
    private const string Prefix = "assets/";
    private const string BlazorScript = "blazor.web.js";
    private readonly Dictionary<string, Asset> _assets = new(StringComparer.Ordinal);

    public AssetLibrary()
    {
        var assembly = typeof(AssetLibrary).Assembly;
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            using var buffer = new MemoryStream();
            stream.CopyTo(buffer);
            Add(name[Prefix.Length..], buffer.ToArray());
        }

        using var carrier = assembly.GetManifestResourceStream("blazor-script-carrier")!;
        Add(BlazorScript, ReadManifestResource(carrier, "_framework/" + BlazorScript));
    }

    public Asset? Find(string name) => _assets.GetValueOrDefault(name);

    /// <summary>The address of an asset; changes with its content, so that it may be cached for ever.</summary>
    public string Url(string name) => $"/assets/{name}?v={_assets[name].Version}";

    private void Add(string name, byte[] content) =>
        _assets[name] = new Asset(content, ContentTypeOf(name), Convert.ToHexStringLower(SHA256.HashData(content))[..16]);

    private static string ContentTypeOf(string name) => Path.GetExtension(name) switch
    {
        ".js" => "text/javascript; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".svg" => "image/svg+xml",
        var other => throw new InvalidOperationException($"No content type is known for {other}."),
    };

    /// <summary>
    /// Reads an embedded file of an assembly without loading it (ECMA-335 II.24.2.2, II.22.24: length u32, then the bytes).
    /// </summary>
    private static byte[] ReadManifestResource(Stream assembly, string name)
    {
        using var image = new PEReader(assembly);
        var metadata = image.GetMetadataReader();
        var resource = metadata.ManifestResources.Select(metadata.GetManifestResource)
            .Single(candidate => metadata.GetString(candidate.Name) == name);
        var resources = image.GetSectionData(image.PEHeaders.CorHeader!.ResourcesDirectory.RelativeVirtualAddress);
        var content = resources.GetContent((int)resource.Offset, sizeof(uint));
        var length = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan());
        return [.. resources.GetContent((int)resource.Offset + sizeof(uint), length)];
    }
}
