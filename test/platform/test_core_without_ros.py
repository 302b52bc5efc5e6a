"""The algorithm never imports ROS: everything but nodes/ imports where rclpy is absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]

IMPORT_ALL = """
import importlib, pkgutil, sys

ROS = {
    "rclpy", "cv_bridge", "message_filters", "sensor_msgs_py", "tf2_ros", "tf_transformations",
    "launch", "launch_ros", "ament_index_python", "builtin_interfaces", "rcl_interfaces",
}

class NoRos:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in ROS or top.endswith("_msgs") or top == "std_srvs":
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, NoRos())
import e2e_slam_ros

names = [module.name for module in pkgutil.walk_packages(
    e2e_slam_ros.__path__, "e2e_slam_ros.", onerror=lambda name: None)]
core = [name for name in names if not name.startswith("e2e_slam_ros.nodes")]
for name in core:
    importlib.import_module(name)
print(len(core))
"""


def test_core_imports_without_ros():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
