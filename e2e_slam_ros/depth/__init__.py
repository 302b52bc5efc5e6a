"""Depth of a keyframe from a depth sensor or from a network that sees one image."""
