"""One tree of frozen dataclasses: the defaults, the ROS parameters and the YAML.

A leaf's dotted name (``keyframe.parallax``) is its ROS parameter name, its YAML path and its
``--set`` key. Every leaf carries its documentation and range; tables are generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from e2e_slam_ros.errors import ConfigError
from e2e_slam_ros.parameter import (
    ParameterInfo,
    Scalar,
    as_meant,
    flatten,
    get_leaf,
    leaf,
    leaves,
    read_assignments,
    read_yaml,
    with_leaves,
    yaml_lines,
)
from e2e_slam_ros.refine.config import RefineConfig


@dataclass(frozen=True)
class CameraConfig:
    """The working image."""

    working_width: int = leaf(
        320, "width in pixels that images are reduced to; 0 keeps the camera's size", low=0
    )
    undistort: bool = leaf(True, "remove lens distortion given in camera_info")


@dataclass(frozen=True)
class PoseConfig:
    """Where camera poses come from."""

    source: str = leaf(
        "topic",
        "topic: PoseStamped of the camera; odometry: Odometry; tf: looked up at the image stamp",
        choices=("topic", "odometry", "tf"),
    )
    tolerance_s: float = leaf(
        0.05, "farthest a pose may be from the image stamp, seconds", low=0.0, high=5.0
    )


@dataclass(frozen=True)
class FramesConfig:
    """TF frame names (REP-105)."""

    map: str = leaf("map", "the fixed frame the map is in")
    odom: str = leaf("odom", "the odometry frame; used when pose.source is odometry or tf")
    base: str = leaf("base_link", "the robot's base; used when pose.source is odometry or tf")
    camera: str = leaf(
        "camera_optical_frame", "the camera's optical frame; empty takes it from the image header"
    )


@dataclass(frozen=True)
class KeyframeConfig:
    """When a frame becomes a keyframe."""

    parallax: float = leaf(
        0.06, "translation since the last keyframe over scene depth that makes a keyframe", low=0.0
    )
    rotation_deg: float = leaf(
        12.0,
        "rotation since the last keyframe that makes a keyframe, degrees",
        low=0.0,
        high=180.0,
    )
    min_overlap: float = leaf(
        0.75,
        "share of the last keyframe still in view under which a keyframe is made",
        low=0.0,
        high=1.0,
    )
    max_interval_s: float = leaf(
        5.0, "time after which a moved camera gets a keyframe anyway, seconds", low=0.0
    )
    min_parallax: float = leaf(
        0.01, "translation over scene depth under which motion says nothing about depth", low=0.0
    )
    pure_rotation: str = leaf(
        "sensor_only",
        "map keyframes made by rotation alone: always, never, or only when depth is measured",
        choices=("always", "never", "sensor_only"),
    )
    min_sharpness: float = leaf(
        0.3,
        "image sharpness relative to recent frames under which a frame waits; 0 turns it off",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True)
class NetworkConfig:
    """The single-image depth network."""

    architecture: str = leaf(
        "efficientnet_lite0",
        "efficientnet_lite0: light, metric, its weights come with the package; disp_resnet18: "
        "SC-SfMLearner's, depth up to a factor, needs a checkpoint",
        choices=("efficientnet_lite0", "disp_resnet18"),
    )
    checkpoint: str = leaf(
        "", "path of its weights (.safetensors, .pth.tar); empty: those of the package"
    )
    width: int = leaf(256, "network input width in pixels, a multiple of 32", low=64)
    height: int = leaf(192, "network input height in pixels, a multiple of 32", low=64)
    scale: float = leaf(1.0, "factor from the network's depth to metres", low=1e-3)
    confidence: bool = leaf(
        False, "pixels weigh less in the map where the network expects larger errors"
    )


@dataclass(frozen=True)
class MotionConfig:
    """Depth from known motion (``depth.source: motion_stereo``)."""

    width: int = leaf(160, "image width of the plane sweep in pixels", low=32)
    planes: int = leaf(64, "depths tried, evenly spaced in inverse depth", low=8, high=512)
    near_m: float = leaf(0.4, "nearest depth tried, metres", low=0.05)
    neighbours: int = leaf(4, "earlier keyframes compared with", low=1, high=16)
    min_baseline_m: float = leaf(
        0.06,
        "distance to an earlier keyframe under which it says nothing about depth, metres",
        low=0.0,
    )
    min_evidence: float = leaf(
        0.02,
        "share of trusted pixels around a pixel under which its depth is left out",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True)
class DepthConfig:
    """Where a keyframe's depth comes from."""

    source: str = leaf(
        "sensor",
        "sensor: the aligned depth topic; motion_stereo: from the images and poses of the last "
        "keyframes; network: predicted from one image",
        choices=("sensor", "motion_stereo", "network"),
    )
    min_m: float = leaf(0.1, "nearest depth used, metres", low=0.0)
    max_m: float = leaf(8.0, "farthest depth used, metres", low=0.1)
    sync_tolerance_s: float = leaf(
        0.02, "farthest a depth image may be from its colour image, seconds", low=0.0, high=1.0
    )
    wait_s: float = leaf(
        0.5, "how long a keyframe waits for its depth image, seconds", low=0.0, high=10.0
    )
    motion: MotionConfig = field(default_factory=MotionConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)


@dataclass(frozen=True)
class MapConfig:
    """PointFusion (Keller et al. 2013)."""

    max_surfels: int = leaf(2_000_000, "hard bound on the number of surfels", low=1000)
    distance_m: float = leaf(
        0.05, "farthest a point may be from the surfel it merges with, metres", low=0.0
    )
    angle_deg: float = leaf(
        20.0, "largest angle between their normals, degrees", low=0.0, high=90.0
    )
    radial_sigma: float = leaf(
        0.6, "sigma of the confidence over the normalised image radius (Keller: 0.6)", low=1e-3
    )
    max_confidence: float = leaf(
        100.0, "bound on a surfel's confidence, so that old surfels still move", low=1.0
    )
    edge_ratio: float = leaf(
        0.05,
        "depth step to a neighbour, relative, above which a pixel is an edge and left out",
        low=0.0,
    )
    outlier_sigma: float = leaf(
        0.0,
        "saved clouds lose surfels whose neighbours are farther than usual by this many standard "
        "deviations; 0 keeps all",
        low=0.0,
    )
    unconfirmed_keyframes: int = leaf(
        10,
        "keyframes after which a surfel below stable_confidence is removed when its place is "
        "measured again without confirming it; 0 keeps it",
        low=0,
    )
    revisable_keyframes: int = leaf(
        0, "how many recent keyframes can be taken out of the map again; 4 MB each", low=0
    )
    stable_confidence: float = leaf(
        2.0,
        "surfels below this confidence are removed when a measurement sees through them",
        low=0.0,
    )


@dataclass(frozen=True)
class PublishConfig:
    """What is published, and how much of it."""

    tf: bool = leaf(True, "publish the camera pose (or map -> odom) on TF")
    transform_tolerance_s: float = leaf(
        0.1, "how long TF look-ups wait for a transform, seconds", low=0.0, high=10.0
    )
    max_points: int = leaf(500_000, "most points in a published map", low=1)
    period_s: float = leaf(1.0, "shortest time between two published maps, seconds", low=0.0)
    min_confidence: float = leaf(0.0, "surfels below this confidence are not published", low=0.0)
    path_length: int = leaf(2000, "most poses kept in the published path", low=1)


@dataclass(frozen=True)
class RuntimeConfig:
    """How the stages are run."""

    device: str = leaf("auto", "auto, cpu, cuda or cuda:N")
    threads: int = leaf(
        1, "CPU threads of the mapping worker; 0 leaves the choice to torch", low=0
    )
    offline: bool = leaf(
        False, "true: map every keyframe, in order; false: newest keyframe wins, drops counted"
    )
    reliability: str = leaf(
        "auto",
        "QoS of the image topics; auto: best effort live, reliable offline",
        choices=("auto", "best_effort", "reliable"),
    )
    silence_s: float = leaf(
        5.0, "seconds without images after which the likely reason is logged; 0 never", low=0.0
    )
    output: str = leaf("", "folder for saved maps; empty: the folder the node was started in")
    map_file: str = leaf(
        "map.ply",
        "what ~/save_map writes there: .ply, .pcd or .png, and beside it the .safetensors that "
        "~/load_map reads",
    )
    viewer: str = leaf(
        "none",
        "rerun: a live view where there is a display, else a recording in runtime.output",
        choices=("none", "rerun"),
    )


@dataclass(frozen=True)
class Config:
    """Every parameter of the system. Immutable; `with_values` makes changed copies."""

    camera: CameraConfig = field(default_factory=CameraConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    keyframe: KeyframeConfig = field(default_factory=KeyframeConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    map: MapConfig = field(default_factory=MapConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    @property
    def measures_depth(self) -> bool:
        """Whether keyframes need the depth topic: as their depth, or to find a scale by."""
        scale = self.refine.scale.source
        by_topic = self.depth.source == "network" and scale == "depth_topic"
        return self.depth.source == "sensor" or by_topic

    def values(self) -> dict[str, Scalar]:
        """Return every leaf as dotted name -> value, in the tree's order."""
        return {info.name: get_leaf(self, info.name) for info in parameters()}

    def with_values(self, values: Mapping[str, object]) -> Config:
        """Return a copy with the given dotted names changed.

        Raises:
            ConfigError: an unknown name, a wrong type, a value out of range, or a
                combination that makes no sense (``depth.min_m >= depth.max_m``).
        """
        changed = with_leaves(self, _known(), values, "parameter")
        depth = changed.depth
        for name, nearest in (("min_m", depth.min_m), ("motion.near_m", depth.motion.near_m)):
            if nearest >= depth.max_m:
                raise ConfigError.from_parts(
                    f"parameter depth.{name}",
                    nearest,
                    f"less than depth.max_m ({depth.max_m})",
                    "lower it or raise depth.max_m",
                )
        return changed

    def with_assignments(self, assignments: Sequence[str]) -> Config:
        """Return a copy changed by ``key=value`` texts, the values read as YAML."""
        return self.with_values(read_assignments(assignments, _known()))

    def to_yaml(self, documented: bool = False) -> str:
        """Return the ROS parameter file (``/**: ros__parameters:``) of this configuration."""
        lines = ["/**:", "  ros__parameters:", *yaml_lines(self, documented)]
        return "\n".join(lines) + "\n"

    @staticmethod
    def from_yaml(text: str) -> Config:
        """Read a ROS parameter file; unknown names are errors."""
        tree = read_yaml(text, "parameter file")
        if isinstance(tree, Mapping) and isinstance(tree.get("/**"), Mapping):
            tree = tree["/**"].get("ros__parameters") or {}
        if not isinstance(tree, Mapping):
            raise ConfigError.from_parts(
                "parameter file", type(tree).__name__, "names and values", "see config/slam.yaml"
            )
        return Config().with_values(as_meant(dict(flatten(tree)), _known()))


def parameters() -> tuple[ParameterInfo, ...]:
    """Return every leaf of the tree with its default, documentation and range."""
    return tuple(leaves(Config()))


def _known() -> dict[str, ParameterInfo]:
    return {info.name: info for info in parameters()}
