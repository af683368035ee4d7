using CrowNest.AppHost;

var builder = DistributedApplication.CreateBuilder(args);
Console.WriteLine(Flavour.Describe());
CrowNestModel.Compose(builder);

var missing = Prerequisites.FindMissing(Checkout.Of(builder));
if (missing.Count > 0)
{
    Console.Error.WriteLine("CrowNest cannot start. Missing:");
    foreach (var (what, bring) in missing)
        Console.Error.WriteLine($"  - {what}\n      bring it with: {bring}");
    return 1;
}

builder.Build().Run();
return Environment.ExitCode;
