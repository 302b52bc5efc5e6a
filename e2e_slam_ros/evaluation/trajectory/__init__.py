"""Camera trajectories compared with the truth: alignment and errors."""
