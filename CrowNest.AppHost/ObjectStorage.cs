namespace CrowNest.AppHost;

/// <summary>
/// Where objects are kept: a folder of the state folder by default, a MinIO container with <c>CROWNEST_OBJECTS=minio</c>, any other S3 server
/// by <c>Objects__…</c> (docs/guides/object-storage.md).
/// </summary>
internal sealed record ObjectStorage(string Folder, IResourceBuilder<ContainerResource>? Minio, IResourceBuilder<ParameterResource>? SecretKey);

internal static class ObjectStorageBuilder
{
    private const string AccessKey = "crownest";
    private const string Bucket = "crownest";

    /// <exception cref="DistributedApplicationException"><c>CROWNEST_OBJECTS</c> is neither <c>folder</c> nor <c>minio</c>.</exception>
    public static ObjectStorage AddObjectStorage(this IDistributedApplicationBuilder builder, string name, Stack stack)
    {
        var kind = builder.Configuration["CROWNEST_OBJECTS"] is { Length: > 0 } text ? text : "folder";
        if (kind == "folder")
            return new ObjectStorage(stack.Folder(name), null, null);
        if (kind != "minio")
            throw new DistributedApplicationException($"CROWNEST_OBJECTS is '{kind}'; it must be folder or minio.");

        var secretKey = stack.Secret($"{name}-secret-key");
        var minio = builder.AddContainer(name, "minio/minio")
            .WithArgs("server", "/data")
            .WithBindMount(stack.Folder("minio"), "/data")
            .WithContainerRuntimeArgs("--label", $"{Leftovers.Label}={stack.State.Path}")
            .WithHttpEndpoint(targetPort: 9000)
            .WithHttpHealthCheck("/minio/health/ready")
            .WithEnvironment("MINIO_ROOT_USER", AccessKey)
            .WithEnvironment("MINIO_ROOT_PASSWORD", secretKey);
        return new ObjectStorage(stack.Folder(name), minio, secretKey);
    }

    public static IResourceBuilder<ServiceResource> WithObjectStorage(this IResourceBuilder<ServiceResource> service, ObjectStorage objects)
    {
        if (objects is not { Minio: { } minio, SecretKey: { } secretKey })
            return service.WithEnvironment("Objects__Driver", "folder").WithEnvironment("Objects__Directory", objects.Folder);
        return service
            .WithEnvironment("Objects__Driver", "s3")
            .WithEnvironment("Objects__Endpoint", minio.GetEndpoint("http"))
            .WithEnvironment("Objects__Bucket", Bucket)
            .WithEnvironment("Objects__AccessKey", AccessKey)
            .WithEnvironment("Objects__SecretKey", secretKey)
            .WaitFor(minio);
    }
}
