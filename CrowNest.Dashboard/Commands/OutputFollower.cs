using CrowNest.Client;
using CrowNest.Contracts;

namespace CrowNest.Dashboard.Commands;

/// <summary>Brings a command's output to its frame.</summary>
internal sealed class OutputFollower(
    string commandId, OutputFrame frame, TimeProvider timeProvider, Action<Command?> onChanged, Action onSessionOver)
    : StreamFollower<Command>(frame, timeProvider, onChanged, onSessionOver)
{
    private long _position;

    public override bool IsEmpty => _position == 0;

    protected override async Task<Command?> ReadOnceAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        try
        {
            var options = new CommandStreamOptions { AfterSeq = _position > 0 ? _position : null, OnInterrupted = SetInterrupted };
            await foreach (var current in api.Commands.StreamAsync(commandId, options, cancellationToken))
            {
                switch (current.Type)
                {
                    case CommandStreamEventType.Log:
                        await TakeAsync(current, cancellationToken);
                        break;
                    case CommandStreamEventType.Terminal:
                        SetInterrupted(false);
                        return current.Command;
                    case CommandStreamEventType.Error when current.Code == ErrorCodes.StreamGap:
                        await ReopenAtOldestAsync(api, cancellationToken);
                        return null;
                    case CommandStreamEventType.Error:
                        EndWith(current.Code, current.Message);
                        return null;
                    default:
                        break;
                }
            }
        }
        catch (CrowNestApiException exception) when (exception.Code == ErrorCodes.StreamGap)
        {
            await ReopenAtOldestAsync(api, cancellationToken);
        }

        return null;
    }

    /// <summary>The API dropped what comes next (10 MiB are kept): say so, and go on with the oldest that is there.</summary>
    private async Task ReopenAtOldestAsync(CrowNestClient api, CancellationToken cancellationToken)
    {
        var oldest = await api.Commands.LogsAsync(commandId, limit: 1, cancellationToken: cancellationToken);
        await NoteMissingAsync(cancellationToken);
        _position = oldest.Data is [var first, ..] ? first.Seq - 1 : _position;
        await PauseAsync(cancellationToken);
    }

    private async Task TakeAsync(CommandStreamEvent log, CancellationToken cancellationToken)
    {
        SetInterrupted(false);
        if (_position == 0 && log.Seq > 1)
            await NoteMissingAsync(cancellationToken);
        _position = log.Seq ?? _position;
        await Output.TakeAsync(log.Stream, log.Data, cancellationToken);
    }

    private ValueTask NoteMissingAsync(CancellationToken cancellationToken) =>
        Output.NoteAsync("Earlier output is no longer kept: the newest 10 MiB of a command are.", cancellationToken);
}
