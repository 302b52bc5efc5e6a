"""Frames and where they come from: one reader a file, all with the same protocol."""
