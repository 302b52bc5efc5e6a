"""Tests that talk over DDS must not hear each other, or anyone else on the machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest


def test_domain_is_set_and_locked(ros_domain):
    assert 1 <= ros_domain <= 101
    assert os.environ["ROS_DOMAIN_ID"] == str(ros_domain)
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    lock = Path(tempfile.gettempdir()) / f"e2e_slam_ros_domain_{ros_domain}.lock"
    with lock.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
