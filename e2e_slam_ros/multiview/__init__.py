"""Depth from several images with known poses. The poses are in metres, so the depth is metric."""
