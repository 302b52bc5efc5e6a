"""The last step of the correction by motion: a small network that has learned its errors."""
