"""Tasks of a user's own: their modules and data, trained as they are."""
