"""Online adaptation: the views around a keyframe correct its depth."""
