"""Training of the learned correction: evidence recorded from runs with known depth."""
