using System.Security.Cryptography;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A value given from outside: configuration <c>Parameters:name</c>, or a default.</summary>
public class ParameterResource(string name, Func<ParameterDefault?, string> callback, bool secret = false) : Resource(name), IValueProvider
{
    private string? _value;

    /// <summary>Whether the value must not be shown.</summary>
    public bool Secret { get; } = secret;

    /// <summary>Where the value comes from when the configuration has none.</summary>
    public ParameterDefault? Default { get; init; }

    /// <inheritdoc />
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        ValueTask.FromResult<string?>(_value ??= callback(Default));
}

/// <summary>How a parameter gets a value that nobody gave.</summary>
public abstract class ParameterDefault
{
    /// <summary>A value; another one at each call if it is generated.</summary>
    public abstract string GetDefaultValue();
}

/// <summary>A random value.</summary>
public sealed class GenerateParameterDefault : ParameterDefault
{
    private const string LowerCharacters = "abcdefghjkmnpqrstuvwxyz";
    private const string UpperCharacters = "ABCDEFGHJKMNPQRSTUVWXYZ";
    private const string NumericCharacters = "0123456789";
    private const string SpecialCharacters = "-_.{}~()*+!";

    /// <summary>How many characters; at least 22 are generated.</summary>
    public int MinLength { get; set; }

    /// <summary>Lower-case letters may occur.</summary>
    public bool Lower { get; set; } = true;

    /// <summary>Upper-case letters may occur.</summary>
    public bool Upper { get; set; } = true;

    /// <summary>Digits may occur.</summary>
    public bool Numeric { get; set; } = true;

    /// <summary>Punctuation may occur.</summary>
    public bool Special { get; set; } = true;

    /// <inheritdoc />
    public override string GetDefaultValue()
    {
        var alphabet = (Lower ? LowerCharacters : "") + (Upper ? UpperCharacters : "") + (Numeric ? NumericCharacters : "")
            + (Special ? SpecialCharacters : "");
        if (alphabet.Length == 0)
            throw new InvalidOperationException("A generated parameter needs at least one kind of character.");
        return RandomNumberGenerator.GetString(alphabet, Math.Max(MinLength, 22));
    }
}
