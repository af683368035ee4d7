using CrowNest.Dashboard;
using CrowNest.Dashboard.Assets;
using CrowNest.Dashboard.Commands;
using CrowNest.Dashboard.Components;
using CrowNest.Dashboard.Files;
using CrowNest.Dashboard.Http;
using CrowNest.Dashboard.Runs;
using CrowNest.Dashboard.SignIn;
using CrowNest.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("CrowNest.Dashboard");
builder.AddDashboard();

var app = builder.Build();
app.UseSecurityHeaders();
app.UseErrorPages();
app.UseOriginCheck();
app.UseAuthentication();
app.UseAuthorization();
app.UseAntiforgery();
app.MapGroup("").AllowAnonymous().MapDefaultEndpoints();
app.MapAssets();
app.MapSignIn();
app.MapCommandLog();
app.MapFiles();
app.MapRunEvidence();
app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options => options.ContentSecurityFrameAncestorsPolicy = null);
await app.RunAsync();
