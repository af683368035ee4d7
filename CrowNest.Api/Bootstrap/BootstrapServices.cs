using Microsoft.Extensions.Options;

namespace CrowNest.Api.Bootstrap;

internal static class BootstrapServices
{
    /// <summary>Migrations and first rows, before the server listens (hosted services start before it).</summary>
    public static IServiceCollection AddBootstrap(this IServiceCollection services)
    {
        services.AddOptions<BootstrapOptions>()
            .Configure<IConfiguration>((options, configuration) => options.ApiKey = configuration[BootstrapKey.Variable])
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<BootstrapOptions>, BootstrapOptionsValidator>();
        services.AddSingleton(new BootstrapConsole(Console.Out));
        services.AddHostedService<Bootstrapper>();
        return services;
    }

    private sealed class BootstrapOptionsValidator : IValidateOptions<BootstrapOptions>
    {
        public ValidateOptionsResult Validate(string? name, BootstrapOptions options) =>
            options.ApiKey is { Length: > 0 } key && BootstrapKey.Problem(key) is { } problem
                ? ValidateOptionsResult.Fail(problem)
                : ValidateOptionsResult.Success;
    }
}
