using System.Globalization;
using System.Text;
using CrowNest.Dashboard.Components;

namespace CrowNest.Dashboard.Commands;

/// <summary>
/// Turns terminal output into text in looks: colours and styles (ECMA-48 SGR) are kept, every other escape sequence is dropped, and
/// control characters become signs. Sequences may be split anywhere between chunks.
/// </summary>
internal sealed class AnsiDecoder(string stream)
{
    private const char Escape = '\u001b';
    private const char Bell = '\u0007';

    /// <summary>
    /// A longer control sequence is none; a longer string (title, link) is given up, so that it cannot swallow the output.
    /// </summary>
    private const int MaxSequence = 64;
    private const int MaxString = 4096;

    private readonly StringBuilder _parameters = new();
    private readonly AnsiStyle _style = new();
    private State _state = State.Text;
    private int _skipped;

    private enum State
    {
        Text,
        Escape,
        EscapeIntermediate,
        Control,
        String,
        StringEscape,
    }

    /// <summary>The next chunk's text in its looks, which go on from the chunk before.</summary>
    public OutputRun[] Decode(string chunk)
    {
        var runs = new List<OutputRun>();
        var text = new StringBuilder(chunk.Length);
        foreach (var c in chunk)
        {
            if (_state == State.Text)
                TakeText(c, text);
            else if (TakeSequence(c) is { } codes)
                ChangeStyle(codes, text, runs);
        }

        Flush(text, runs);
        return [.. runs];
    }

    private void TakeText(char c, StringBuilder text)
    {
        switch (c)
        {
            case Escape:
                _state = State.Escape;
                break;
            case '\n' or '\r' or '\t':
                text.Append(c);
                break;
            case '\b':
                if (text.Length > 0 && text[^1] is not ('\n' or '\r'))
                    text.Length--;
                break;
            case Bell:
                break;
            default:
                VisibleText.Append(text, c);
                break;
        }
    }

    /// <summary>Goes on in a sequence; the parameters when it was a complete SGR.</summary>
    private string? TakeSequence(char c)
    {
        switch (_state)
        {
            case State.Escape:
                _parameters.Clear();
                _skipped = 0;
                _state = c switch
                {
                    '[' => State.Control,
                    // OSC, DCS, SOS, PM, APC: strings until BEL or ESC \.
                    ']' or 'P' or 'X' or '^' or '_' => State.String,
                    >= ' ' and <= '/' => State.EscapeIntermediate,
                    Escape => State.Escape,
                    _ => State.Text,
                };
                return null;
            case State.EscapeIntermediate:
                _state = c is >= ' ' and <= '/' ? State.EscapeIntermediate : State.Text;
                return null;
            case State.Control:
                return TakeControl(c);
            case State.String when ++_skipped > MaxString:
                _state = State.Text;
                return null;
            case State.String:
                _state = c switch { Bell => State.Text, Escape => State.StringEscape, _ => State.String };
                return null;
            default:
                // ESC \ ends the string; ESC and anything else begins a new sequence.
                _state = State.Escape;
                if (c == '\\')
                    _state = State.Text;
                else
                    TakeSequence(c);
                return null;
        }
    }

    private string? TakeControl(char c)
    {
        switch (c)
        {
            case >= '0' and <= '?' or (>= ' ' and <= '/') when _parameters.Length < MaxSequence:
                _parameters.Append(c);
                return null;
            case Escape:
                _state = State.Escape;
                return null;
            default:
                _state = State.Text;
                return c == 'm' ? _parameters.ToString() : null;
        }
    }

    private void ChangeStyle(string codes, StringBuilder text, List<OutputRun> runs)
    {
        Flush(text, runs);
        // Private sequences (CSI > … m, CSI ? … m) set keyboards, not colours.
        if (codes.Length > 0 && codes[0] is '>' or '?' or '<' or '=')
            return;
        var numbers = codes.Split(';', ':')
            .Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0);
        _style.Apply([.. numbers]);
    }

    private void Flush(StringBuilder text, List<OutputRun> runs)
    {
        if (text.Length == 0)
            return;
        runs.Add(new OutputRun(stream, text.ToString(), _style.Classes, _style.ForegroundHex, _style.BackgroundHex));
        text.Clear();
    }
}
