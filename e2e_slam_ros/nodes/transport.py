"""Shared memory of Fast DDS for images."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile

# Fast DDS gives a process 0.5 MB of shared memory. One 640x480 colour image with depth has
# 2.1 MB. On two busy cores, a third to a half of the images was lost between two processes of
# one machine. With 16 MB no image was lost (bench/bench_latency.py).
_SEGMENT_BYTES = 16 * 2**20
# Containers often have 64 MB of /dev/shm for all processes together.
_LARGEST_SHARE = 8
_SHARED_MEMORY = "/dev/shm"
# Fast DDS 2 (Humble to Jazzy) and Fast DDS 3 (Kilted on) read different names.
_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_OTHER_VARIABLES = (*_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_DISCOVERY_SERVER")
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<profiles xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <transport_descriptors>
    <transport_descriptor>
      <transport_id>shared_memory</transport_id>
      <type>SHM</type>
      <segment_size>{segment}</segment_size>
    </transport_descriptor>
    <transport_descriptor>
      <transport_id>udp</transport_id>
      <type>UDPv4</type>
    </transport_descriptor>
  </transport_descriptors>
  <participant profile_name="e2e_slam_ros" is_default_profile="true">
    <rtps>
      <userTransports>
        <transport_id>shared_memory</transport_id>
        <transport_id>udp</transport_id>
      </userTransports>
      <useBuiltinTransports>false</useBuiltinTransports>
    </rtps>
  </participant>
</profiles>
"""


def make_room_for_images() -> bool:
    """Enlarge this process's shared memory. Call it before rclpy is initialised.

    Returns whether it was enlarged. It is not enlarged with another middleware, if the user
    configures Fast DDS, or if the machine has little shared memory.
    """
    if os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp":
        return False
    if any(name in os.environ for name in _OTHER_VARIABLES):
        return False
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
        if free < _LARGEST_SHARE * _SEGMENT_BYTES:
            return False
        handle, path = tempfile.mkstemp(prefix="e2e_slam_ros_fastdds_", suffix=".xml")
        atexit.register(_remove, path)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_PROFILE.format(segment=_SEGMENT_BYTES))
    except OSError:
        return False
    for name in _VARIABLES:
        os.environ[name] = path
    return True


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
