namespace CrowNest.Dashboard.Sessions;

/// <summary>Whether the API answers at the moment, for the banner of one page.</summary>
internal sealed class ApiConnection
{
    public event Action? Changed;

    public bool IsAway { get; private set; }

    public void Lost() => Set(true);

    public void Restored() => Set(false);

    private void Set(bool isAway)
    {
        if (IsAway == isAway)
            return;
        IsAway = isAway;
        Changed?.Invoke();
    }
}
