"""Frames and the readers of recordings. There is one reader a file, and all share one protocol."""
