using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Amazon.S3;
using Amazon.S3.Model;

namespace CrowNest.Platform.Storage;

/// <summary>
/// One object in parts: while one is sent the next is read and hashed, two are in memory. Metadata belongs to the first request of an
/// upload, when the digest is not known yet, so objects in parts carry no <c>sha256</c>; the database does.
/// </summary>
internal sealed class S3MultipartUpload(AmazonS3Client client, InitiateMultipartUploadResponse begun, S3LeftOvers leftOvers)
{
    private readonly List<PartETag> _sent = [];
    private readonly string _bucket = begun.BucketName;
    private readonly string _key = begun.Key;
    private readonly string _id = begun.UploadId;

    /// <summary>Sends everything and makes it the object; or nothing is left, the failure of <paramref name="content"/> passes as it is.</summary>
    /// <param name="first">A full first part; the caller keeps it.</param>
    public async Task<ObjectDigest> SendAsync(byte[] first, Stream content, long? length, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var second = ArrayPool<byte>.Shared.Rent(S3ObjectStore.PartBytes);
        var sending = Task.CompletedTask;
        try
        {
            var (part, next) = (first, second);
            var written = 0L;
            for (var read = S3ObjectStore.PartBytes; read > 0;)
            {
                hash.AppendData(part, 0, read);
                await sending;
                written += read;
                sending = SendPartAsync(part, read, cancellationToken);
                (part, next) = (next, part);
                read = await content.ReadAtLeastAsync(
                    part.AsMemory(0, S3ObjectStore.PartBytes), S3ObjectStore.PartBytes, throwOnEndOfStream: false, cancellationToken);
            }

            await sending;
            S3ObjectStore.CheckLength(_key, written, length);
            await CompleteAsync(cancellationToken);
            return new ObjectDigest(written, Convert.ToHexStringLower(hash.GetHashAndReset()));
        }
        catch
        {
            await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await leftOvers.DropAsync(_bucket, _key, _id);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(second);
        }
    }

    private async Task SendPartAsync(byte[] bytes, int count, CancellationToken cancellationToken)
    {
        var number = _sent.Count + 1;
        var sent = await S3Calls.CallAsync(
            $"{_key} cannot be stored.",
            () => client.UploadPartAsync(
                new UploadPartRequest
                {
                    BucketName = _bucket,
                    Key = _key,
                    UploadId = _id,
                    PartNumber = number,
                    PartSize = count,
                    InputStream = new MemoryStream(bytes, 0, count),
                },
                cancellationToken),
            cancellationToken);
        _sent.Add(new PartETag(number, sent.ETag));
    }

    private async Task CompleteAsync(CancellationToken cancellationToken)
    {
        try
        {
            var request = new CompleteMultipartUploadRequest { BucketName = _bucket, Key = _key, UploadId = _id, PartETags = _sent };
            await S3Calls.CallAsync(
                $"{_key} cannot be stored.", () => client.CompleteMultipartUploadAsync(request, cancellationToken), cancellationToken);
        }
        catch (ObjectStoreException) when (ExpectedETag() is { } expected)
        {
            // The answer may have been lost after the work was done; the SDK's second try then finds no upload any more.
            if (await FindETagAsync(cancellationToken) != expected)
            {
                throw;
            }
        }
    }

    /// <summary>S3's rule: the MD5 of the parts' MD5s, and their number. Null when the parts' tags are none (encrypted buckets).</summary>
    [SuppressMessage("Security", "CA5351", Justification = "S3's entity tags are MD5; nothing is protected by it, the digests are SHA-256.")]
    private string? ExpectedETag()
    {
        using var tags = new MemoryStream();
        foreach (var part in _sent)
        {
            if (part.ETag.Trim('"') is not { Length: 32 } tag || !tag.All(char.IsAsciiHexDigit))
            {
                return null;
            }

            tags.Write(Convert.FromHexString(tag));
        }

        return string.Create(
            CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(MD5.HashData(tags.ToArray()))}-{_sent.Count}");
    }

    private Task<string?> FindETagAsync(CancellationToken cancellationToken) => S3Calls.CallAsync(
        $"{_key} cannot be stored.",
        async () =>
        {
            try
            {
                return (await client.GetObjectMetadataAsync(_bucket, _key, cancellationToken)).ETag?.Trim('"');
            }
            catch (AmazonS3Exception exception) when (exception.StatusCode == HttpStatusCode.NotFound)
            {
                return null;
            }
        },
        cancellationToken);
}
