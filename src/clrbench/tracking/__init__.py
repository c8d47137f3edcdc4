"""Mirrors of the record in experiment trackers. The record is the truth: a tracker can be filled anew from it."""
