"""The ground floor: parameters, errors and the device. Imports nothing of the package.

`tree.Config` is the whole configuration; each file here is one of its sections.
"""

from e2e_slam_ros.config.camera import CameraConfig
from e2e_slam_ros.config.depth import DepthConfig, MotionConfig, NetworkConfig
from e2e_slam_ros.config.grid import GridConfig
from e2e_slam_ros.config.keyframe import KeyframeConfig
from e2e_slam_ros.config.map import MapConfig
from e2e_slam_ros.config.output import PublishConfig, RuntimeConfig
from e2e_slam_ros.config.pose import FramesConfig, PoseConfig
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.config.tree import Config, parameters

__all__ = [
    "CameraConfig",
    "Config",
    "DepthConfig",
    "FramesConfig",
    "GridConfig",
    "KeyframeConfig",
    "MapConfig",
    "MotionConfig",
    "NetworkConfig",
    "PoseConfig",
    "PublishConfig",
    "RefineConfig",
    "RuntimeConfig",
    "parameters",
]
