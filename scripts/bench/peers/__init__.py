"""The suite beside its peers: the same net trained by each in a process of its own, and the limit that the machine sets."""
