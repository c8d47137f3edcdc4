"""Image sets: read from a source, kept in memory as bytes, and given out in batches."""
