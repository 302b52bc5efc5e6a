"""Depth from known motion: no network, no labels, metric because the poses are."""
