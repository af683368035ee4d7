namespace CrowNest.Contracts;

/// <summary>A cursor list (docs/reference/api.md 2.5, 2.7).</summary>
/// <param name="NextCursor">Present exactly when <paramref name="HasMore"/> is true.</param>
public sealed record Page<T>(IReadOnlyList<T> Data, bool HasMore, string? NextCursor = null);

/// <summary>A window of a sequence: command logs (docs/reference/api.md 2.7).</summary>
/// <param name="NextSeq"><c>seq</c> of the last item, to be passed as the next <c>afterSeq</c> (OP-3); absent on an empty page.</param>
public sealed record SeqPage<T>(IReadOnlyList<T> Data, bool HasMore, long? NextSeq = null);
