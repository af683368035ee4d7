namespace CrowNest.AppHost;

/// <summary>Object storage in a folder of the state folder.</summary>
internal static class ObjectStore
{
    public static IResourceBuilder<FolderResource> AddObjectStore(this IDistributedApplicationBuilder builder, string name) =>
        builder.AddFolder(name);

    public static IResourceBuilder<ProjectResource> WithObjectStore(
        this IResourceBuilder<ProjectResource> project, IResourceBuilder<FolderResource> objects) => project
        .WithEnvironment("Objects__Driver", "folder")
        .WithEnvironment("Objects__Directory", objects.Resource.Path);
}
