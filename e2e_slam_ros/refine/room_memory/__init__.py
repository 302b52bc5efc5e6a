"""Errors of the depth network that are expected again where the room looks alike."""
