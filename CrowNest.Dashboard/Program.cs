using CrowNest.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("CrowNest.Dashboard");

var app = builder.Build();
app.MapDefaultEndpoints();
await app.RunAsync();
