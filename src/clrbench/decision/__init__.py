"""Which policy to take: pure functions from the worths of trials to the next trials, or to an answer (docs/decide.md)."""
