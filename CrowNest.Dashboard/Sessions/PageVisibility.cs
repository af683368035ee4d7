namespace CrowNest.Dashboard.Sessions;

/// <summary>Whether the browser shows the page; a hidden tab asks the API for nothing.</summary>
internal sealed class PageVisibility
{
    public event Action? Changed;

    public bool IsHidden { get; private set; }

    public void Set(bool isHidden)
    {
        IsHidden = isHidden;
        Changed?.Invoke();
    }
}
