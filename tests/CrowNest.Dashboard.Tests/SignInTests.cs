using System.Net;
using CrowNest.Testing;
using Microsoft.Playwright;

namespace CrowNest.Dashboard.Tests;

[Trait("Needs", "browser")]
public sealed class SignInTests(DashboardFixture dashboard) : IClassFixture<DashboardFixture>
{
    [Fact]
    public async Task SignIn_FreshLink_LeadsToTheListWithoutAClick()
    {
        await using var visitor = await dashboard.NewVisitorAsync("amy");

        Assert.Equal(dashboard.Url + "/", visitor.Page.Url);
        Assert.Equal("Sandboxes · CrowNest", await visitor.Page.TitleAsync());
        var cookie = (await visitor.Context.CookiesAsync()).Single(cookie => cookie.Name == "crownest-dashboard");
        Assert.True(cookie.HttpOnly);
        Assert.Equal(SameSiteAttribute.Strict, cookie.SameSite);
        Assert.DoesNotContain("ses_", cookie.Value, StringComparison.Ordinal);
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Get_OfALink_DoesNotUseItUp()
    {
        var token = dashboard.Api.NewLink("bob");
        using var http = new HttpClient();

        var preview = await http.GetStringAsync(new Uri($"{dashboard.Url}/sign-in?token={token}"));

        Assert.Contains("<form method=\"post\"", preview, StringComparison.Ordinal);
        Assert.True(dashboard.Api.IsLinkUnused(token));
        await using var visitor = await dashboard.NewVisitorAsync();
        await visitor.Page.GotoAsync("/sign-in?token=" + token);
        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
        Assert.False(dashboard.Api.IsLinkUnused(token));
    }

    [Fact]
    public async Task SignIn_WithoutScripts_WorksByTheButton()
    {
        await using var visitor = await dashboard.NewVisitorAsync();
        await using var context = await visitor.Context.Browser!.NewContextAsync(
            new() { BaseURL = dashboard.Url, JavaScriptEnabled = false });
        var page = await context.NewPageAsync();

        await page.GotoAsync("/sign-in?token=" + dashboard.Api.NewLink("noscript"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();

        Assert.Equal(dashboard.Url + "/", page.Url);
        Assert.Equal(1, dashboard.Api.SessionsOf("noscript"));
    }

    [Fact]
    public async Task SignIn_UsedLink_SaysHowToGetANewOne()
    {
        var token = dashboard.Api.NewLink("cleo");
        await using var first = await dashboard.NewVisitorAsync();
        await first.Page.GotoAsync("/sign-in?token=" + token);
        await first.Page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
        await using var second = await dashboard.NewVisitorAsync();

        await second.Page.GotoAsync("/sign-in?token=" + token);

        await second.Page.GetByRole(AriaRole.Heading, new() { Name = "This link no longer works" }).WaitForAsync();
        Assert.True(await second.Page.GetByText("eng/sign-in-link.sh").IsVisibleAsync());
        Assert.DoesNotContain(await second.Context.CookiesAsync(), cookie => cookie.Name == "crownest-dashboard");
        await second.ScreenshotAsync("sign-in-used-light");
    }

    [Fact]
    public async Task SignIn_ApiAway_KeepsTheLinkAndTriesAgain()
    {
        await using var visitor = await dashboard.NewVisitorAsync();
        var token = dashboard.Api.NewLink("dora");
        dashboard.Api.IsAway = true;
        try
        {
            await visitor.Page.GotoAsync("/sign-in?token=" + token);
            await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "The API does not answer" }).WaitForAsync();
        }
        finally
        {
            dashboard.Api.IsAway = false;
        }

        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Try again" }).ClickAsync();

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
    }

    [Fact]
    public async Task AnyPage_WithoutSession_SaysHowToSignIn()
    {
        await using var visitor = await dashboard.NewVisitorAsync(scheme: ColorScheme.Dark);

        await visitor.Page.GotoAsync("/sandboxes/sbx_1");

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sign in to CrowNest" }).WaitForAsync();
        Assert.True(await visitor.Page.GetByText("eng/sign-in-link.sh").IsVisibleAsync());
        await visitor.ScreenshotAsync("sign-in-dark");
    }

    [Fact]
    public async Task SignOut_Clicked_EndsTheSessionAtTheApiToo()
    {
        await using var visitor = await dashboard.NewVisitorAsync("eve");
        Assert.Equal(1, dashboard.Api.SessionsOf("eve"));

        await visitor.Page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "You are signed out" }).WaitForAsync();
        Assert.Equal(0, dashboard.Api.SessionsOf("eve"));
        await visitor.Page.GotoAsync("/");
        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sign in to CrowNest" }).WaitForAsync();
    }

    [Fact]
    public async Task OpenPage_SessionRevoked_LeadsToSignIn()
    {
        await using var visitor = await dashboard.NewVisitorAsync("finn");

        dashboard.Api.EndSessionsOf("finn");

        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Your session has ended" }).WaitForAsync();
    }

    [Fact]
    public async Task TwoBrowsers_TwoPeople_SeeOnlyTheirOwn()
    {
        var hers = dashboard.Api.AddSandbox("gina");
        var his = dashboard.Api.AddSandbox("hugo");
        await using var gina = await dashboard.NewVisitorAsync("gina");
        await using var hugo = await dashboard.NewVisitorAsync("hugo");

        await gina.Page.GetByText(hers.Id).WaitForAsync();
        await hugo.Page.GetByText(his.Id).WaitForAsync();
        Assert.Equal(0, await gina.Page.GetByText(his.Id).CountAsync());
        await gina.Page.GotoAsync($"/sandboxes/{his.Id}");

        await gina.Page.GetByRole(AriaRole.Heading, new() { Name = "There is no such sandbox" }).WaitForAsync();
    }

    [Fact]
    public async Task Restart_OfTheDashboard_KeepsPeopleSignedInAndPagesComeBack()
    {
        var sandbox = dashboard.Api.AddSandbox("ines");
        await using var visitor = await dashboard.NewVisitorAsync("ines");
        await visitor.Page.GetByText(sandbox.Id).WaitForAsync();

        await dashboard.StopDashboardAsync();
        await visitor.Page.Locator("#components-reconnect-modal").WaitForAsync();
        await dashboard.StartDashboardAsync();
        var later = dashboard.Api.AddSandbox("ines");

        await visitor.Page.GetByText(later.Id).WaitForAsync(new() { Timeout = 60_000 });
    }

    [Theory]
    [InlineData("https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("http://127.0.0.1:1", HttpStatusCode.Forbidden)]
    [InlineData("null", HttpStatusCode.Forbidden)]
    public async Task Post_FromAnotherOrigin_IsRefused(string origin, HttpStatusCode expected)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, dashboard.Url + "/sign-out");
        request.Headers.Add("Origin", origin);

        var response = await http.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task Post_WithoutAntiforgeryToken_RedeemsNothing()
    {
        var token = dashboard.Api.NewLink("jack");
        using var http = new HttpClient();
        using var form = new FormUrlEncodedContent([new("token", token)]);

        var response = await http.PostAsync(new Uri(dashboard.Url + "/sign-in"), form);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.True(dashboard.Api.IsLinkUnused(token));
    }

    /// <summary>With the person's cookies, as a form on a page of the same site would send it.</summary>
    [Theory]
    [InlineData("none")]
    [InlineData("made up")]
    [InlineData("another person's")]
    public async Task SignOut_WithoutItsAntiforgeryToken_EndsNothing(string kind)
    {
        await using var visitor = await dashboard.NewVisitorAsync("lena");
        await using var other = await dashboard.NewVisitorAsync("milo");
        var sessions = dashboard.Api.SessionsOf("lena");
        const string Field = "__RequestVerificationToken";
        var form = visitor.Context.APIRequest.CreateFormData();
        form.Append("unrelated", "1");
        if (kind != "none")
        {
            form.Append(Field, kind == "made up"
                ? "CfDJ8made-up" : await other.Page.Locator($"form[action='/sign-out'] input[name={Field}]").InputValueAsync());
        }

        var response = await visitor.Context.APIRequest.PostAsync("/sign-out", new() { Form = form, MaxRedirects = 0 });

        Assert.Equal((int)HttpStatusCode.BadRequest, response.Status);
        Assert.Equal(sessions, dashboard.Api.SessionsOf("lena"));
        await visitor.Page.GotoAsync("/");
        await visitor.Page.GetByRole(AriaRole.Heading, new() { Name = "Sandboxes", Exact = true }).WaitForAsync();
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/commands/cmd_1/log")]
    [InlineData("/nowhere")]
    public async Task Request_Anonymous_ReachesNoPage(string path)
    {
        using var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });

        var response = await http.GetAsync(new Uri(dashboard.Url + path));

        Assert.Equal(HttpStatusCode.Redirect, response.StatusCode);
        Assert.Equal("/sign-in", new Uri(new Uri(dashboard.Url), response.Headers.Location!).AbsolutePath);
    }

    [Fact]
    public async Task Circuit_Anonymous_IsRefused()
    {
        using var http = new HttpClient();

        var response = await http.PostAsync(new Uri(dashboard.Url + "/_blazor/negotiate?negotiateVersion=1"), null);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task Request_ForAnotherHost_IsRefused()
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, dashboard.Url + "/sign-in");
        request.Headers.Host = "rebound.example";

        var response = await http.SendAsync(request);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task EveryAnswer_Carries_SecurityHeaders()
    {
        using var http = new HttpClient();

        foreach (var path in new[] { "/sign-in", "/healthz", "/assets/app.css", "/assets/none.css" })
        {
            var response = await http.GetAsync(new Uri(dashboard.Url + path));
            var policy = response.Headers.GetValues("Content-Security-Policy").Single();
            Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
            Assert.Equal("no-referrer", response.Headers.GetValues("Referrer-Policy").Single());
        }
    }

    [Fact]
    public async Task Log_AfterSignIns_HoldsNoTokenAndNoSecret()
    {
        var token = dashboard.Api.NewLink("kim");
        await using var visitor = await dashboard.NewVisitorAsync();
        await visitor.Page.GotoAsync("/sign-in?token=" + token);
        await Eventually.HoldsAsync(() => dashboard.Api.SessionsOf("kim") == 1, "the link was redeemed");

        Assert.DoesNotContain(token, dashboard.Log, StringComparison.Ordinal);
        Assert.DoesNotContain(FakeApi.Secret, dashboard.Log, StringComparison.Ordinal);
    }
}
