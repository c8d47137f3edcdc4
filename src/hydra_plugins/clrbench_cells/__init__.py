"""Hydra finds plugins in the namespace `hydra_plugins` alone: here is the suite's sweeper."""
