"""ROS 2 nodes: messages in, the core at work, messages out. Only this folder imports ROS."""
