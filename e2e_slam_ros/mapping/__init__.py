"""PointFusion: a bounded map of surfels, and its files."""
