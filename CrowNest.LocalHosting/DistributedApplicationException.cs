namespace Aspire.Hosting;

/// <summary>The model is wrong, or something it needs is missing. The message is for the person who started the application.</summary>
public class DistributedApplicationException : Exception
{
    /// <summary>Without a message.</summary>
    public DistributedApplicationException()
    {
    }

    /// <summary>With a message that says what to do.</summary>
    public DistributedApplicationException(string message) : base(message)
    {
    }

    /// <summary>With a message and the cause.</summary>
    public DistributedApplicationException(string message, Exception innerException) : base(message, innerException)
    {
    }
}
