"""Depth and motion of two views whose poses are unknown."""
