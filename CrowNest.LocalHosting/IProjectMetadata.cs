namespace Aspire.Hosting;

/// <summary>A project of the solution; <c>build/CrowNest.LocalHosting.targets</c> generates one class in <c>Projects</c> per reference.</summary>
public interface IProjectMetadata
{
    /// <summary>Absolute path of the project file.</summary>
    string ProjectPath { get; }

    /// <summary>Whether the project is built already when the application starts.</summary>
    bool SuppressBuild => false;
}

/// <summary>What the local flavour must know in addition, so that it starts the build output without a nested <c>dotnet run</c>.</summary>
public interface IBuiltProjectMetadata : IProjectMetadata
{
    /// <summary>Absolute path of the built assembly.</summary>
    string TargetPath { get; }
}
