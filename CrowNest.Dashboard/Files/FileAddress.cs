using CrowNest.Contracts;

namespace CrowNest.Dashboard.Files;

/// <summary>Addresses of a sandbox's files in the dashboard. Names are hostile, so they only ever stand in an encoded query.</summary>
internal static class FileAddress
{
    public static string Folder(string sandboxId, string path) =>
        $"/sandboxes/{sandboxId}?show=files" + (path == Limits.Workspace ? "" : "&path=" + Uri.EscapeDataString(path));

    public static string View(string sandboxId, string path) => $"/sandboxes/{sandboxId}?show=files&view={Uri.EscapeDataString(path)}";

    public static string Of(string sandboxId, FileEntry entry) =>
        entry.Type == FileType.Directory ? Folder(sandboxId, entry.Path) : View(sandboxId, entry.Path);

    /// <summary>Where the page's script sends uploads into a folder; a name is appended.</summary>
    public static string Upload(string sandboxId, string folder) =>
        $"/sandboxes/{sandboxId}/upload?path={Uri.EscapeDataString(folder + "/")}";

    public static string Image(string sandboxId, FileStat file) =>
        $"/sandboxes/{sandboxId}/image?path={Uri.EscapeDataString(file.Path)}&at={file.ModifiedAt?.ToUnixTimeMilliseconds()}";

    public static string Archive(string sandboxId, string folder) =>
        $"/sandboxes/{sandboxId}/archive?path={Uri.EscapeDataString(folder)}";
}
