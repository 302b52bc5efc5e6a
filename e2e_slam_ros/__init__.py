"""Dense monocular SLAM with online-adapted depth, as a ROS 2 package with a ROS-free core."""

__version__ = "0.1.0"
