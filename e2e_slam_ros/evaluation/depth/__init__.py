"""The depth protocol: a depth source compared with the sensor, frame by frame."""
