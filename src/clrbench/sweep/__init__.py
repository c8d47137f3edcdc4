"""Many runs: which cells a sweep has, what state each is in, and how those that are left are carried out."""
