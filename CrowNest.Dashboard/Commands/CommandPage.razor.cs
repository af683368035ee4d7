using CrowNest.Client;
using CrowNest.Contracts;
using CrowNest.Dashboard.Components;
using Microsoft.AspNetCore.Components;

namespace CrowNest.Dashboard.Commands;

/// <summary>One command: its facts are asked for, its output is streamed.</summary>
public partial class CommandPage : LivePage
{
    private Command? _command;
    private OutputFollower? _follower;
    private ElementReference _output;
    private bool _canceling;

    [Parameter] public string Id { get; set; } = "";

    /// <inheritdoc/>
    protected override bool IsSettled => _command is { } command ? CommandStatus.IsFinal(command.Status) : !Ids.IsValid(Id, Ids.Command);

    private bool IsFinal => _command is { } command && CommandStatus.IsFinal(command.Status);

    private bool WroteNothing => IsFinal && _follower is { HasEnded: true, IsEmpty: true };

    private string FollowText => _follower switch
    {
        null => "",
        { IsInterrupted: true } => "Connection lost; continuing as soon as it is back",
        { HasEnded: true } => "Complete",
        _ => "Live",
    };

    private string? Explanation => _command switch
    {
        { Status: CommandStatus.TimedOut } => "It ran into its time limit and was ended.",
        { Status: CommandStatus.Killed, KilledReason: KilledReason.SandboxDestroyed } => "Its sandbox ended while it ran.",
        { Status: CommandStatus.Canceled, TerminationSignal: { } signal } => $"Somebody canceled it; {signal} ended it.",
        { Status: CommandStatus.Exited, ExitCode: 137 } => "Exit code 137 is SIGKILL, often a sign that memory ran out.",
        { Status: CommandStatus.Exited, ExitCode: > 128 and < 160 and var code } =>
            $"Exit code {code} means that signal {code - 128} ended it.",
        _ => null,
    };

    /// <inheritdoc/>
    protected override async Task LoadAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(Id, Ids.Command))
            return;
        var command = await api.Commands.GetAsync(Id, cancellationToken);
        if (command.Id == Id && !IsFinal)
            _command = command;
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        if (_command is null || _command.Id == Id)
            return;
        _command = null;
        await StopFollowingAsync();
        RefreshNow();
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (_command is null || _follower is not null)
            return;
        // The frame stands now, so there is something to write into.
        _follower = new OutputFollower(_command.Id, new OutputFrame(Script, _output), Time, OnFollowed, LeaveForSignIn);
        Telemetry.Follow(1);
        await ActAsync(api =>
        {
            _follower.Start(api);
            return Task.CompletedTask;
        });
    }

    /// <inheritdoc/>
    protected override async ValueTask LeaveAsync() => await StopFollowingAsync();

    private async Task StopFollowingAsync()
    {
        if (_follower is null)
            return;
        var follower = _follower;
        _follower = null;
        Telemetry.Follow(-1);
        await follower.DisposeAsync();
    }

    /// <summary>The follower knows something new; the terminal event carries the final command.</summary>
    private void OnFollowed(Command? final) => _ = InvokeAsync(() =>
    {
        if (final is not null && final.Id == Id)
            _command = final;
        StateHasChanged();
    });

    private async Task CancelAsync(string mode)
    {
        _canceling = true;
        try
        {
            await ActAsync(async api =>
            {
                var canceled = await api.Commands.CancelAsync(Id, mode, Leaving);
                if (canceled.Id == Id)
                    _command = canceled;
            });
        }
        finally
        {
            _canceling = false;
        }
    }
}
