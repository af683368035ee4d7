using CrowNest.Platform.Database;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;

Console.Error.WriteLine("For dotnet-ef only; see eng/add-migration.sh.");
return 2;

/// <summary>Gives dotnet-ef the model; nothing is ever connected to.</summary>
internal sealed class DesignTimeFactory : IDesignTimeDbContextFactory<CrowNestDb>
{
    public CrowNestDb CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<CrowNestDb>().UseNpgsql("Host=design-time").Options);
}
