using System.Security.Cryptography;
using CrowNest.Agent.Files;

namespace CrowNest.Agent.Tests.Files;

public sealed class Sha256Tests
{
    [Fact]
    public void Finish_EveryLengthAndSplit_IsTheFrameworksDigest()
    {
        byte[] bytes = RandomNumberGenerator.GetBytes(1000);
        for (int length = 0; length < 300; length++)
        {
            var hash = new Sha256();
            int split = length * 7 % (length + 1);
            hash.Append(bytes.AsSpan(0, split));
            hash.Append(bytes.AsSpan(split, length - split));

            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes.AsSpan(0, length))), hash.Finish());
        }
    }
}
