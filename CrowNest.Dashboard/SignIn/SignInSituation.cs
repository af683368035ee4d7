namespace CrowNest.Dashboard.SignIn;

/// <summary>What the sign-in page has to say.</summary>
public enum SignInSituation
{
    NotSignedIn,
    SessionEnded,
    SignedOut,
    Confirm,
    LinkIsSpent,
    ApiIsAway,
    Misconfigured,
}
