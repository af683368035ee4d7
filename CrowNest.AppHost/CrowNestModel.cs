using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace CrowNest.AppHost;

/// <summary>The processes and backing services of CrowNest, and how they find each other.</summary>
internal static class CrowNestModel
{
    public static void Compose(IDistributedApplicationBuilder builder)
    {
        var checkout = Checkout.Of(builder);
        var secret = builder.AddParameter(
            "deployment-secret", new GenerateParameterDefault { MinLength = 48, Special = false }, secret: true, persist: true);

        var postgres = builder.AddPostgres("postgres", port: builder.Port("POSTGRES", 8790)).WithDataVolume("crownest-postgres");
        var database = postgres.AddDatabase("crownest");
        var redis = builder.AddRedis("redis", port: builder.Port("REDIS", 8791));
        var objects = builder.AddObjectStore("objects");

        var api = builder.AddProject<Projects.CrowNest_Api>("api")
            .WithHttpEndpoint(port: builder.Port("API", 8787), isProxied: false)
            .WithExternalHttpEndpoints()
            .WithHttpHealthCheck("/healthz")
            .WithReference(database).WaitFor(database)
            .WithReference(redis).WaitFor(redis)
            .WithObjectStore(objects)
            .WithEnvironment("CrowNest__DeploymentSecret", secret)
            .WithEnvironment("CrowNest__StateDirectory", checkout.StateOf("api"));

        // The API owns the migrations, so a healthy API means that the worker's tables are there.
        var worker = builder.AddProject<Projects.CrowNest_Worker>("worker")
            .WithHttpEndpoint(port: builder.Port("WORKER", 8789), isProxied: false)
            .WithHttpHealthCheck("/healthz")
            .WithReference(database)
            .WithReference(redis)
            .WithObjectStore(objects)
            .WaitFor(api)
            .WithEnvironment("CrowNest__DeploymentSecret", secret)
            .WithEnvironment("CrowNest__StateDirectory", checkout.StateOf("node"))
            .WithEnvironment("Worker__AgentDirectory", checkout.Agent);
        worker.WithEnvironment("Worker__AdvertisedUrl", worker.GetEndpoint("http")).WithSettings("Worker")
            .WithSettings("Objects");

        var dashboard = builder.AddProject<Projects.CrowNest_Dashboard>("dashboard")
            .WithHttpEndpoint(port: builder.Port("DASHBOARD", 8788), isProxied: false)
            .WithExternalHttpEndpoints()
            .WithHttpHealthCheck("/healthz")
            .WithReference(api).WaitFor(api)
            .WithEnvironment("CrowNest__DeploymentSecret", secret)
            .WithEnvironment("CrowNest__StateDirectory", checkout.StateOf("dashboard"))
            .WithSettings("Dashboard");

        api.WithEnvironment("Api__DashboardUrl", dashboard.GetEndpoint("http"))
            .WithSettings("Api")
            .WithSettings("Objects")
            .WithSettings("CROWNEST_BOOTSTRAP_API_KEY");
    }

    /// <summary>The fixed port of a resource; <c>CROWNEST_NAME_PORT</c> replaces it, so that a second stack runs beside this one.</summary>
    private static int Port(this IDistributedApplicationBuilder builder, string name, int fallback)
    {
        var variable = $"CROWNEST_{name}_PORT";
        if (builder.Configuration[variable] is not { Length: > 0 } text)
            return fallback;
        return int.TryParse(text, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535
            ? port
            : throw new DistributedApplicationException($"{variable} is '{text}'; it must be a port from 1 to 65535.");
    }

    /// <summary>
    /// Hands on what the AppHost was told (<c>Worker__…</c> in its environment, <c>--Worker:…</c> on its command line); said last, so that it
    /// wins over the model.
    /// </summary>
    private static IResourceBuilder<ProjectResource> WithSettings(this IResourceBuilder<ProjectResource> project, string section)
    {
        foreach (var (key, value) in project.ApplicationBuilder.Configuration.GetSection(section).AsEnumerable())
        {
            if (value is not null)
                project.WithEnvironment(key.Replace(":", "__", StringComparison.Ordinal), value);
        }
        return project;
    }
}
