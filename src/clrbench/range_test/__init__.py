"""From a run whose rate rises to the two bounds of a cycle (section 3.3)."""
