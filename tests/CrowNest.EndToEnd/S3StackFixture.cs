using System.Security.Cryptography;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using CrowNest.Testing;
using Xunit;

namespace CrowNest.EndToEnd;

/// <summary>The stack over a real S3 server, in a bucket of its own, with a way between them that can be cut.</summary>
public sealed class S3StackFixture : StackFixture
{
    public const string S3Collection = "s3 stack";

    private readonly string _bucket = $"e2e-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
    private AmazonS3Client? _s3;

    /// <summary>Between stack and server.</summary>
    public StoreProxy Way { get; } = new(S3Server.Setting("ENDPOINT") ?? "http://127.0.0.1:1");

    protected override IEnumerable<string> Settings =>
    [
        "--Objects:Driver=s3", $"--Objects:Endpoint={Way.Endpoint}", $"--Objects:Bucket={_bucket}",
        $"--Objects:AccessKey={S3Server.Setting("ACCESS_KEY")}", $"--Objects:SecretKey={S3Server.Setting("SECRET_KEY")}",
        "--Objects:RequestTimeout=00:00:10",
    ];

    public override async ValueTask InitializeAsync()
    {
        if (S3Server.IsThere)
        {
            _s3 = new AmazonS3Client(
                new BasicAWSCredentials(S3Server.Setting("ACCESS_KEY"), S3Server.Setting("SECRET_KEY")),
                new AmazonS3Config { ServiceURL = S3Server.Setting("ENDPOINT"), AuthenticationRegion = "us-east-1", ForcePathStyle = true });
            await base.InitializeAsync();
        }
        else if (S3Server.IsDemanded)
        {
            throw new InvalidOperationException("Continuous integration has no S3 server for these tests; eng/s3.sh starts one.");
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (_s3 is not null)
        {
            await base.DisposeAsync();
            foreach (var key in await KeysAsync(""))
            {
                await _s3.DeleteObjectAsync(_bucket, key);
            }

            await _s3.DeleteBucketAsync(_bucket);
            _s3.Dispose();
        }
        else
        {
            Traces.Dispose();
        }

        await Way.DisposeAsync();
    }

    /// <summary>What the bucket holds below a prefix, asked of the server itself.</summary>
    public async Task<List<string>> KeysAsync(string prefix)
    {
        var found = await _s3!.ListObjectsV2Async(new ListObjectsV2Request { BucketName = _bucket, Prefix = prefix });
        return [.. (found.S3Objects ?? []).Select(o => o.Key)];
    }

    /// <summary>Keys of uploads that were begun and neither finished nor dropped.</summary>
    public async Task<List<string>> UnfinishedAsync()
    {
        var found = await _s3!.ListMultipartUploadsAsync(new ListMultipartUploadsRequest { BucketName = _bucket });
        return [.. (found.MultipartUploads ?? []).Select(u => u.Key)];
    }
}

[CollectionDefinition(S3StackFixture.S3Collection, DisableParallelization = true)]
public sealed class S3StackCollection : ICollectionFixture<S3StackFixture>;
