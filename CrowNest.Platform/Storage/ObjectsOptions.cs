using System.ComponentModel.DataAnnotations;

namespace CrowNest.Platform.Storage;

/// <summary>Where objects are kept, section <c>Objects</c>.</summary>
public sealed class ObjectsOptions : IValidatableObject
{
    public const string SectionName = "Objects";
    public const string Folder = "folder";
    public const string S3 = "s3";

    /// <summary><c>folder</c> or <c>s3</c>.</summary>
    [Required]
    [AllowedValues(Folder, S3, ErrorMessage = "Objects:Driver must be folder or s3.")]
    public string Driver { get; set; } = Folder;

    /// <summary>Root of the <c>folder</c> driver; shared by all processes that read what others store.</summary>
    public string? Directory { get; set; }

    /// <summary>URL of the S3 server, with scheme.</summary>
    public string? Endpoint { get; set; }

    /// <summary>Name of the bucket; CrowNest's alone, for a sweep may remove what no row of its database names.</summary>
    public string? Bucket { get; set; }
    public string? AccessKey { get; set; }
    public string? SecretKey { get; set; }

    /// <summary>Region that requests are signed for; most servers take any.</summary>
    public string Region { get; set; } = "us-east-1";

    /// <summary>Whether a missing bucket is made. Without the permission for it, make it by hand.</summary>
    public bool CreateBucket { get; set; } = true;

    /// <summary>How long a connection to the S3 server may take.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long one request may take (at most 8 MiB are sent with it), and how long a reader waits for the next bytes. A failed request is
    /// tried three times.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromMinutes(1);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        (string Name, string? Value)[] needed = Driver == S3
            ? [(nameof(Endpoint), Endpoint), (nameof(Bucket), Bucket), (nameof(AccessKey), AccessKey), (nameof(SecretKey), SecretKey)]
            : [(nameof(Directory), Directory)];
        foreach (var (name, value) in needed)
        {
            if (string.IsNullOrWhiteSpace(value))
            {
                yield return new ValidationResult($"{SectionName}:{name} is needed by the driver {Driver}.", [name]);
            }
        }

        if (Driver == S3 && Endpoint is { Length: > 0 } endpoint
            && !(Uri.TryCreate(endpoint, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"))
        {
            yield return new ValidationResult($"{SectionName}:{nameof(Endpoint)} must be an http or https URL.", [nameof(Endpoint)]);
        }
    }
}
