"""Play a rosbag2 into slam_node; ends when the bag ends."""

from launch import LaunchContext, LaunchDescription

from e2e_slam_ros.nodes.launched_nodes import our_node, rviz
from e2e_slam_ros.nodes.launching import (
    FRAME_ARGUMENTS,
    FRAMES,
    NODE_ARGUMENTS,
    OUTPUT_ARGUMENTS,
    OUTPUTS,
    STARTS,
    described,
    given,
    is_on,
    parameter_files,
    remapped,
    sim_time,
    text,
)

TOPICS = {
    "image_topic": ("/camera/color/image_raw", "camera/image_raw"),
    "camera_info_topic": ("/camera/color/camera_info", "camera/camera_info"),
    "depth_topic": ("/camera/aligned_depth_to_color/image_raw", "camera/depth/image_raw"),
    "pose_topic": ("/camera/pose", "camera/pose"),
    "odometry_topic": ("/odom", "odom"),
}
PLAYED = {"bag": ("bag", str), "rate": ("rate", float), "image_topic": ("image_topic", str)}
PASSED = {
    "pose_source": ("pose.source", str),
    "depth_source": ("depth.source", str),
    **FRAMES,
    **OUTPUTS,
    **STARTS,
}
ARGUMENTS = (
    ("bag", None, "the bag's folder or file"),
    *((name, theirs, f"the bag's topic for {ours}") for name, (theirs, ours) in TOPICS.items()),
    ("pose_source", "", "topic, odometry, tf, or visual: where the camera's poses come from"),
    ("depth_source", "", "sensor: the bag's depth topic; network: predicted"),
    ("rate", "1.0", "speed relative to the recording"),
    ("params_file", "", "parameter file; config/slam.yaml names every parameter"),
    *FRAME_ARGUMENTS,
    *OUTPUT_ARGUMENTS,
    ("exit_when_done", "true", "end everything when the bag has been played"),
    ("use_sim_time", "", "false: nodes do not take their time from the bag's /clock"),
    ("namespace", "", "namespace of slam_node and what it publishes; the bag's topics stay"),
    *NODE_ARGUMENTS,
)


def start(context: LaunchContext) -> list:
    """Return the bag, slam_node and, if wanted, RViz."""
    clock = sim_time(context, preset=True)
    slam = our_node(
        context,
        "slam_node",
        {**given(context, PASSED), **clock},
        files=parameter_files(context, preset="replay.yaml"),
        remap=remapped(context, TOPICS),
    )
    # slam_node always subscribes to these two, and to the others at the same time.
    awaited = [text(context, name) for name in ("image_topic", "camera_info_topic")]
    player = our_node(
        context,
        "bag_player",
        {**given(context, PLAYED), "wait_for": " ".join(awaited)},
        ends=is_on(context, "exit_when_done"),
    )
    return [*rviz(context, clock, remapped(context, TOPICS)), *slam, *player]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return described(ARGUMENTS, start)
