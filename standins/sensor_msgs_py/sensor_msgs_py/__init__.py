"""Stand-in for the part of sensor_msgs_py that e2e_slam_ros calls."""
