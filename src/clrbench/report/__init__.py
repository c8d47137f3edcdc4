"""Draws and words what the analysis computed."""
