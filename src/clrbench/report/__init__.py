"""Draws what the analysis computed; computes nothing."""
