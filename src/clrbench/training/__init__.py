"""One run: the callback, the Lightning module, evaluations and checkpoints, from a configuration to its record."""
