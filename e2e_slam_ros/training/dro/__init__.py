"""Training of DRO: rendered walks, losses, task."""
