"""Alignment of whole images and depth maps, without features."""
