"""ROS 2 nodes. They turn messages into calls of the core, and results into messages.

Only this folder imports ROS.
"""
