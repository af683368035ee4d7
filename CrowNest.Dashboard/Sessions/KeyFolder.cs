using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.Extensions.Options;

namespace CrowNest.Dashboard.Sessions;

/// <summary>Keeps the keys of cookies in the state directory, readable by its owner only; in memory without one.</summary>
internal sealed class KeyFolder(IOptions<DashboardOptions> options, ILoggerFactory loggers) : IConfigureOptions<KeyManagementOptions>
{
    public void Configure(KeyManagementOptions keys)
    {
        if (string.IsNullOrWhiteSpace(options.Value.StateDirectory))
        {
            keys.XmlRepository = new MemoryKeys();
            return;
        }

        var folder = Path.Combine(options.Value.StateDirectory, "keys");
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        keys.XmlRepository = new FileSystemXmlRepository(new DirectoryInfo(folder), loggers);
    }

    /// <summary>Keys that end with the process.</summary>
    private sealed class MemoryKeys : IXmlRepository
    {
        private readonly Lock _lock = new();
        private readonly List<System.Xml.Linq.XElement> _elements = [];

        public IReadOnlyCollection<System.Xml.Linq.XElement> GetAllElements()
        {
            lock (_lock)
                return [.. _elements.Select(element => new System.Xml.Linq.XElement(element))];
        }

        public void StoreElement(System.Xml.Linq.XElement element, string friendlyName)
        {
            lock (_lock)
                _elements.Add(new System.Xml.Linq.XElement(element));
        }
    }
}
