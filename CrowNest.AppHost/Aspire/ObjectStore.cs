namespace CrowNest.AppHost;

/// <summary>Object storage in a MinIO container.</summary>
internal static class ObjectStore
{
    private const string AccessKey = "crownest";
    private const string Bucket = "crownest";

    public static IResourceBuilder<MinioResource> AddObjectStore(this IDistributedApplicationBuilder builder, string name)
    {
        var secretKey = builder.AddParameter(
            $"{name}-secret-key", new GenerateParameterDefault { MinLength = 32, Special = false }, secret: true, persist: true);
        return builder.AddResource(new MinioResource(name, secretKey.Resource))
            .WithImage("minio/minio")
            .WithArgs("server", "/data")
            .WithVolume("crownest-objects", "/data")
            .WithHttpEndpoint(targetPort: 9000)
            .WithHttpHealthCheck("/minio/health/ready")
            .WithEnvironment("MINIO_ROOT_USER", AccessKey)
            .WithEnvironment("MINIO_ROOT_PASSWORD", secretKey);
    }

    public static IResourceBuilder<ProjectResource> WithObjectStore(
        this IResourceBuilder<ProjectResource> project, IResourceBuilder<MinioResource> objects) => project
        .WithEnvironment("Objects__Driver", "s3")
        .WithEnvironment("Objects__Endpoint", objects.GetEndpoint("http"))
        .WithEnvironment("Objects__Bucket", Bucket)
        .WithEnvironment("Objects__AccessKey", AccessKey)
        .WithEnvironment("Objects__SecretKey", project.ApplicationBuilder.CreateResourceBuilder(objects.Resource.SecretKey))
        .WaitFor(objects);
}

/// <summary>A MinIO server and the secret key of its root user.</summary>
internal sealed class MinioResource(string name, ParameterResource secretKey) : ContainerResource(name)
{
    public ParameterResource SecretKey { get; } = secretKey;
}
