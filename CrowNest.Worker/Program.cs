using CrowNest.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("CrowNest.Worker");

var app = builder.Build();
app.MapDefaultEndpoints();
await app.RunAsync();
