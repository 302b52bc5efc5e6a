"""Where a keyframe's depth comes from: a depth sensor, or a network that predicts it."""
