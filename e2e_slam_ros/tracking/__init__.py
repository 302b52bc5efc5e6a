"""The camera's pose from images: features, local map, adjustment, loops; free of ROS."""
