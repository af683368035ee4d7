using System.Net;
using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Sessions;
using CrowNest.Dashboard.SignIn;
using Microsoft.AspNetCore.Components;

namespace CrowNest.Dashboard.Components;

/// <summary>
/// A page that shows what the API says and asks again while somebody looks at it. An API that is away leaves what was last known; a
/// session that has ended leads to the sign-in page; any other refusal is shown.
/// </summary>
public abstract class LivePage : ComponentBase, IAsyncDisposable
{
    private readonly CancellationTokenSource _leaving = new();
    private TaskCompletionSource _wake = new();
    private Task _refreshing = Task.CompletedTask;
    private bool _skipWait;

    [Inject] private ApiSession Session { get; set; } = default!;
    [Inject] private ApiConnection Connection { get; set; } = default!;
    [Inject] private PageVisibility Visibility { get; set; } = default!;
    [Inject] private TimeProvider Clock { get; set; } = default!;
    [Inject] private protected NavigationManager Navigation { get; set; } = default!;

    /// <summary>Ends when the page is left.</summary>
    protected CancellationToken Leaving => _leaving.Token;

    /// <summary>Why the page has nothing to show.</summary>
    protected CrowNestApiException? LoadError { get; private set; }

    /// <summary>Why the last thing that was asked for did not happen.</summary>
    protected CrowNestApiException? ActionError { get; private set; }

    /// <summary>Whether there is still something to ask for.</summary>
    protected virtual bool IsSettled => false;

    /// <summary>Time between two questions.</summary>
    protected virtual TimeSpan RefreshInterval => TimeSpan.FromSeconds(2);

    protected abstract Task LoadAsync(CrowNestClient api, CancellationToken cancellationToken);

    /// <inheritdoc/>
    protected override void OnInitialized()
    {
        Visibility.Changed += OnVisibilityChanged;
        _refreshing = RefreshForeverAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        Visibility.Changed -= OnVisibilityChanged;
        await _leaving.CancelAsync();
        await _refreshing;
        await LeaveAsync();
        _leaving.Dispose();
    }

    /// <summary>What a page itself must end.</summary>
    protected virtual ValueTask LeaveAsync() => ValueTask.CompletedTask;

    /// <summary>Asks now, and forgets that nothing was found before.</summary>
    protected void RefreshNow()
    {
        _skipWait = true;
        _wake.TrySetResult();
    }

    /// <summary>What was refused is not what is shown now.</summary>
    protected void ForgetErrors() => (LoadError, ActionError) = (null, null);

    /// <summary>Does what a person asked for. True when it happened; otherwise <see cref="ActionError"/> says why not.</summary>
    protected async Task<bool> ActAsync(Func<CrowNestClient, Task> action)
    {
        ArgumentNullException.ThrowIfNull(action);
        ActionError = null;
        using var activity = DashboardTelemetry.StartAction();
        try
        {
            await action(await Session.ClientAsync());
            RefreshNow();
            return true;
        }
        catch (CrowNestApiException exception) when (!IsSessionOver(exception))
        {
            ActionError = exception;
            return false;
        }
        catch (CrowNestApiException)
        {
            LeaveForSignIn();
            return false;
        }
        catch (OperationCanceledException) when (Leaving.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            // Blazor renders the component that was clicked, which may be a part of this one.
            StateHasChanged();
        }
    }

    /// <summary>Lets the browser fetch what a link of the API names; an answer that is a download leaves the page where it is.</summary>
    protected Task DownloadAsync(Func<CrowNestClient, Task<DownloadUrl>> link) => ActAsync(async api =>
    {
        var url = (await link(api)).Url;
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw new CrowNestApiException(null, CrowNestApiException.ClientCodes.InvalidResponse, "The API gave a link that is none.");
        Navigation.NavigateTo(url, forceLoad: true);
    });

    private protected void LeaveForSignIn() => Navigation.NavigateTo(DashboardSignInEndpoints.Path + "?ended=true", forceLoad: true);

    private protected static bool IsSessionOver(CrowNestApiException exception) => exception.Status == HttpStatusCode.Unauthorized;

    private async Task RefreshForeverAsync()
    {
        try
        {
            // Parameters first: they are set after OnInitialized.
            await Task.Yield();
            while (!Leaving.IsCancellationRequested)
            {
                var wait = RefreshInterval;
                if (!Visibility.IsHidden && (!IsSettled || _skipWait))
                {
                    _skipWait = false;
                    wait = await RefreshAsync();
                    StateHasChanged();
                }

                if (!_skipWait)
                    await Task.WhenAny(_wake.Task, Task.Delay(wait, Clock, Leaving));
                if (_wake.Task.IsCompleted)
                    _wake = new TaskCompletionSource();
            }
        }
        catch (OperationCanceledException) when (Leaving.IsCancellationRequested)
        {
            // The page was left while it asked.
        }
        catch (Exception exception)
        {
            await DispatchExceptionAsync(exception);
        }
    }

    private async Task<TimeSpan> RefreshAsync()
    {
        try
        {
            await LoadAsync(await Session.ClientAsync(), Leaving);
            LoadError = null;
            Connection.Restored();
        }
        catch (CrowNestApiException exception) when (IsSessionOver(exception))
        {
            LeaveForSignIn();
        }
        catch (CrowNestApiException exception) when (exception.Code == ErrorCodes.RateLimited)
        {
            var wait = exception.Details?["retryAfterMs"]?.GetValue<long>() ?? 0;
            return TimeSpan.FromMilliseconds(Math.Clamp(wait, RefreshInterval.TotalMilliseconds, 60_000));
        }
        catch (CrowNestApiException exception) when (exception.IsApiAnswer && exception.Status < HttpStatusCode.InternalServerError)
        {
            LoadError = exception;
            Connection.Restored();
        }
        catch (CrowNestApiException)
        {
            Connection.Lost();
        }

        return RefreshInterval;
    }

    private void OnVisibilityChanged()
    {
        if (!Visibility.IsHidden)
            RefreshNow();
    }
}
