"""The whole configuration: the defaults, the ROS parameters and the YAML.

A leaf's dotted name (``keyframe.parallax``) is its ROS parameter name, its YAML path and its
``--set`` key. Every leaf carries its documentation, its range and whether it is live; tables are
generated from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.config.camera import CameraConfig
from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.grid import GridConfig
from e2e_slam_ros.config.keyframe import KeyframeConfig
from e2e_slam_ros.config.leaf import ParameterInfo, Settings, yaml_lines
from e2e_slam_ros.config.map import MapConfig
from e2e_slam_ros.config.output import PublishConfig, RuntimeConfig
from e2e_slam_ros.config.pose import FramesConfig, PoseConfig
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.config.tracking import TrackingConfig


@dataclass(frozen=True)
class Config(Settings):
    """Every parameter of the system. Immutable; `with_values` makes changed copies.

    Example:
        >>> config = Config().with_values({"keyframe.parallax": 0.1})
        >>> config.keyframe.parallax, Config().keyframe.parallax
        (0.1, 0.06)
        >>> Config.from_yaml(config.to_yaml()) == config
        True
    """

    camera: CameraConfig = field(default_factory=CameraConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    keyframe: KeyframeConfig = field(default_factory=KeyframeConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    map: MapConfig = field(default_factory=MapConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def check(self) -> None:
        """Refuse bounds in the wrong order, and a camera's height that is needed and missing."""
        if self.grid.low_m >= self.grid.high_m:
            raise ConfigError.from_parts(
                "parameter grid.low_m",
                self.grid.low_m,
                f"less than grid.high_m ({self.grid.high_m})",
                "lower it or raise grid.high_m",
            )
        if self.tracking.scale == "camera_height" and not self.tracking.camera_height_m:
            raise ConfigError.from_parts(
                "parameter tracking.camera_height_m",
                self.tracking.camera_height_m,
                "more than 0, with tracking.scale: camera_height",
                "set it to the camera's height over the floor in metres, or choose another scale",
            )
        depth = self.depth
        for name, nearest in (("min_m", depth.min_m), ("motion.near_m", depth.motion.near_m)):
            if nearest >= depth.max_m:
                raise ConfigError.from_parts(
                    f"parameter depth.{name}",
                    nearest,
                    f"less than depth.max_m ({depth.max_m})",
                    "lower it or raise depth.max_m",
                )

    def to_yaml(self, documented: bool = False) -> str:
        """Return the ROS parameter file (``/**: ros__parameters:``) of this configuration."""
        lines = ["/**:", "  ros__parameters:", *yaml_lines(self, documented)]
        return "\n".join(lines) + "\n"


def parameters() -> tuple[ParameterInfo, ...]:
    """Return every leaf of the tree with its default, documentation and range."""
    return Config.settings()
