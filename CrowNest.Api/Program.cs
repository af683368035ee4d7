using CrowNest.Api;
using CrowNest.Api.Commands;
using CrowNest.Api.Discovery;
using CrowNest.Api.Fleet;
using CrowNest.Api.Http;
using CrowNest.Api.Projects;
using CrowNest.Api.Sandboxes;
using CrowNest.Api.SignIn;
using CrowNest.Api.Templates;
using CrowNest.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults(Telemetry.Name);
builder.AddApi();
builder.AddFleet();
builder.Services.AddSignIn().AddProjects().AddSandboxes().AddCommands();

var app = builder.Build();
app.UseApi();
app.MapDefaultEndpoints();
app.MapDiscovery();
app.MapSignIn();

var v1 = app.MapV1();
v1.MapProjects();
v1.MapTemplates();
v1.MapSandboxes();
v1.MapCommands();
await app.RunAsync();
