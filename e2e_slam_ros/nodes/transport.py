"""Shared memory of Fast DDS for images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from e2e_slam_ros.nodes.shared_memory import SHARED_MEMORY, remove_leftovers

# Fast DDS gives a process 0.5 MB of shared memory. One 640x480 colour image with depth has
# 2.1 MB. On two busy cores, a third to a half of the images was lost between two processes of
# one machine. With 16 MB no image was lost (bench/bench_latency.py).
_SEGMENT_BYTES = 16 * 2**20  # as in the profile
# Containers often have 64 MB of /dev/shm for all processes together.
_LARGEST_SHARE = 8
# Fast DDS 2 (Humble to Jazzy) and Fast DDS 3 (Kilted on) read different names.
_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_OTHER_VARIABLES = (*_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_DISCOVERY_SERVER")
_PROFILE = Path(__file__).with_name("fastdds_profile.xml")


def make_room_for_images() -> bool:
    """Enlarge this process's shared memory, and remove what killed processes left of theirs.

    Call it before rclpy is initialised.

    Returns whether it was enlarged. It is not enlarged with another middleware, if the user
    configures Fast DDS, or if the machine has little shared memory.
    """
    if os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp":
        return False
    remove_leftovers()
    if any(name in os.environ for name in _OTHER_VARIABLES):
        return False
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return False
    if free < _LARGEST_SHARE * _SEGMENT_BYTES:
        return False
    for name in _VARIABLES:
        os.environ[name] = str(_PROFILE)
    return True
