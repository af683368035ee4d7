using CrowNest.Api;
using CrowNest.Api.Auth.Links;
using CrowNest.Api.Discovery;
using CrowNest.Api.Http;
using CrowNest.Api.Nodes;
using CrowNest.Api.SignIn;
using CrowNest.Api.WorkspaceRuns.Evidence;
using CrowNest.ServiceDefaults;
using CrowNest.ServiceDefaults.Health;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults(ApiTelemetry.Name).AddTransferMemory();
builder.AddApi();
builder.AddFleet();
builder.Services.AddSignIn().AddResources();

var app = builder.Build();
app.UseApi();
app.MapDefaultEndpoints();
app.MapDiscovery();
app.MapReferencePage();
app.MapSignIn();
app.MapSigningKeys();
app.MapEvidenceKeys();
app.MapResources();
await app.RunAsync();
