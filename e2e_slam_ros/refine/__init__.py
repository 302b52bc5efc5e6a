"""Online adaptation: a keyframe's depth is corrected by what the views around it show."""
