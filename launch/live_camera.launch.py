"""Map with a camera whose driver runs already."""

from launch import LaunchContext, LaunchDescription

from e2e_slam_ros.nodes.launched_nodes import our_node, rviz
from e2e_slam_ros.nodes.launching import (
    FRAME_ARGUMENTS,
    FRAMES,
    NO_TOPIC,
    NODE_ARGUMENTS,
    OUTPUT_ARGUMENTS,
    OUTPUTS,
    STARTS,
    TF_ARGUMENT,
    described,
    given,
    parameter_files,
    parameters_in_file,
    remapped,
    sim_time,
    text,
)

TOPICS = {
    "image_topic": ("camera/color/image_raw", "camera/image_raw"),
    "camera_info_topic": ("camera/color/camera_info", "camera/camera_info"),
    "depth_topic": ("camera/aligned_depth_to_color/image_raw", "camera/depth/image_raw"),
    "pose_topic": ("camera/pose", "camera/pose"),
    "odometry_topic": ("odom", "odom"),
}
PASSED = {
    "pose_source": ("pose.source", str),
    "depth_source": ("depth.source", str),
    **FRAMES,
    **OUTPUTS,
    **STARTS,
}
ARGUMENTS = (
    *((name, theirs, f"the driver's topic for {ours}") for name, (theirs, ours) in TOPICS.items()),
    (
        "pose_source",
        "",
        "topic, odometry, tf; or found from the images: visual, icp, gradicp, photometric; if not "
        "given: as in params_file, else visual if depth comes from the network, else tf",
    ),
    (
        "depth_source",
        "",
        "sensor: the depth topic; network: predicted; if not given: as in params_file, else "
        "sensor, or network with depth_topic:=none",
    ),
    ("params_file", "", "parameter file, above config/live.yaml; slam.yaml names all parameters"),
    *FRAME_ARGUMENTS,
    *OUTPUT_ARGUMENTS,
    ("use_sim_time", "", "true with a simulator that publishes /clock"),
    ("namespace", "", "namespace of slam_node, its topics and the camera's"),
    TF_ARGUMENT,
    *NODE_ARGUMENTS,
)


def sources(context: LaunchContext) -> dict[str, object]:
    """Return the sources that nobody named, for a camera without a depth topic."""
    named = parameters_in_file(context)
    pose, depth = (
        text(context, f"{name}_source") or named.get(f"{name}.source")
        for name in ("pose", "depth")
    )
    chosen: dict[str, object] = {}
    if depth is None and text(context, "depth_topic") == NO_TOPIC:
        depth = chosen["depth.source"] = "network"
    if pose is None and depth == "network":
        chosen["pose.source"] = "visual"
    return chosen


def start(context: LaunchContext) -> list:
    """Return slam_node and, if wanted, RViz."""
    clock = sim_time(context)
    slam = our_node(
        context,
        "slam_node",
        {**sources(context), **given(context, PASSED), **clock},
        files=parameter_files(context, preset="live.yaml"),
        remap=remapped(context, TOPICS),
    )
    return [*rviz(context, clock, remapped(context, TOPICS)), *slam]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return described(ARGUMENTS, start)
