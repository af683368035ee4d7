using CrowNest.AppHost;

Console.WriteLine(Flavour.Describe());
try
{
    var builder = DistributedApplication.CreateBuilder(args);
    CrowNestModel.Compose(builder);
    if (!Prerequisites.Check(builder, Console.Error))
        return 1;
    builder.Build().Run();
    return Environment.ExitCode;
}
catch (DistributedApplicationException exception)
{
    Console.Error.WriteLine($"CrowNest cannot start. {exception.Message}");
    return 1;
}
