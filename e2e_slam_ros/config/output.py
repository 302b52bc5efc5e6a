"""Parameters of the published topics, and of the way that stages run."""

from __future__ import annotations

from dataclasses import dataclass

from e2e_slam_ros.config.leaf import leaf


@dataclass(frozen=True)
class PublishConfig:
    """The published topics, and their limits.

    Example:
        >>> PublishConfig().max_points
        500000
    """

    tf: bool = leaf(True, "publish the camera pose (or map -> odom) on TF", live=True)
    transform_tolerance_s: float = leaf(
        0.1,
        "longest time that a TF look-up waits for a transform, and how far into the future "
        "map -> odom is dated, seconds",
        low=0.0,
        high=10.0,
        live=True,
    )
    max_points: int = leaf(
        500_000, "largest number of points in a published map", low=1, live=True
    )
    period_s: float = leaf(
        1.0, "shortest time between two published maps, seconds", low=0.0, live=True
    )
    min_confidence: float = leaf(
        0.0, "surfels below this confidence are not published", low=0.0, live=True
    )
    path_length: int = leaf(2000, "largest number of poses in the published path", low=1)


@dataclass(frozen=True)
class RuntimeConfig:
    """The way that stages run.

    Example:
        >>> RuntimeConfig().device
        'auto'
    """

    device: str = leaf("auto", "auto, cpu, cuda or cuda:N")
    threads: int = leaf(
        1, "CPU threads of the mapping worker; 0 leaves the choice to torch", low=0
    )
    autostart: bool = leaf(
        True,
        "true: a node configures and activates itself; false: a life cycle manager does",
    )
    offline: bool = leaf(
        False,
        "true: map every keyframe, in order; false: a newer keyframe replaces one that waits, and "
        "the drops are counted",
    )
    reliability: str = leaf(
        "auto",
        "QoS of the image topics; auto: best effort live, reliable offline",
        choices=("auto", "best_effort", "reliable"),
    )
    silence_s: float = leaf(
        5.0,
        "after so many seconds without images the likely reason is logged; 0: never",
        low=0.0,
        live=True,
    )
    output: str = leaf(
        "", "folder for saved maps; empty: ~/.ros/e2e_slam/<date>-<time>, with ROS_HOME for ~/.ros"
    )
    map_file: str = leaf(
        "map.ply",
        "file that ~/save_map and the end of the node write there: .ply, .pcd or .png; the "
        ".safetensors file that ~/load_map reads is written beside it",
        live=True,
    )
    start_map: str = leaf(
        "",
        "map to go on with: a checkpoint (.safetensors), or a folder, whose newest one is taken; "
        "loaded when the node starts; empty: none",
    )
    save_at_end: bool = leaf(True, "true: the node saves its map when it ends")
    checkpoint_keyframes: int = leaf(
        30,
        "checkpoint.safetensors is written there so often that a killed process loses no more "
        "than so many keyframes; 0: never",
        low=0,
    )
    kept_keyframes: int = leaf(
        100,
        "split nodes: number of keyframes that keyframe_node keeps while nobody answers for them; "
        "the oldest make room and are counted; the same in all three nodes",
        low=1,
    )
    viewer: str = leaf(
        "none",
        "web: the live map in a browser, see viewer_host; rerun: a live view where there is a "
        "display, else a recording in runtime.output",
        choices=("none", "web", "rerun"),
    )
    viewer_host: str = leaf(
        "127.0.0.1",
        "address that the web viewer listens at; the default can be reached from this machine "
        "alone, 0.0.0.0 from the whole network",
    )
    viewer_port: int = leaf(8080, "TCP port of the web viewer; 0: any free one", low=0, high=65535)
    viewer_points: int = leaf(
        200_000, "largest number of points of the map in the web viewer", low=1000
    )
