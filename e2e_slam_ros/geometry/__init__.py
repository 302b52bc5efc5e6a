"""Pinhole camera, rigid motion, projection and inverse warp (view synthesis)."""
