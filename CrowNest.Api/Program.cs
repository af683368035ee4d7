using CrowNest.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("CrowNest.Api");

var app = builder.Build();
app.MapDefaultEndpoints();
await app.RunAsync();
