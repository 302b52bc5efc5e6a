"""The stages as separate processes, on one machine or on two.

On the robot: ``where:=robot`` (keyframe_node). On the computer with the GPU:
``where:=computer`` (depth_node and mapper_node). Both in the same ROS domain.
"""

from launch import LaunchContext, LaunchDescription

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.nodes.launched_nodes import our_node, rviz
from e2e_slam_ros.nodes.launching import (
    FRAME_ARGUMENTS,
    FRAMES,
    NODE_ARGUMENTS,
    OUTPUT_ARGUMENTS,
    OUTPUTS,
    STARTS,
    TF_ARGUMENT,
    described,
    given,
    parameter_files,
    remapped,
    sim_time,
    text,
)

TOPICS = {
    "image_topic": ("", "camera/image_raw"),
    "camera_info_topic": ("", "camera/camera_info"),
    "depth_topic": ("", "camera/depth/image_raw"),
    "pose_topic": ("", "camera/pose"),
    "odometry_topic": ("", "odom"),
}
PASSED = {
    "pose_source": ("pose.source", str),
    "depth_source": ("depth.source", str),
    "offline": ("runtime.offline", bool),
    **FRAMES,
    **OUTPUTS,
    **STARTS,
}
ARGUMENTS = (
    ("where", "all", "which nodes to start here: all, robot or computer"),
    *((name, "", f"topic for {ours} (robot)") for name, (_, ours) in TOPICS.items()),
    ("pose_source", "", "topic, odometry or tf: where the camera's poses come from"),
    ("depth_source", "", "sensor: the depth topic; network: predicted by depth_node"),
    ("offline", "", "true: map every keyframe in order, for a player in lock-step"),
    ("params_file", "", "parameter file; config/slam.yaml names every parameter"),
    *FRAME_ARGUMENTS,
    *OUTPUT_ARGUMENTS,
    ("use_sim_time", "", "true when a player or simulator publishes /clock"),
    ("namespace", "", "namespace of the nodes and of the camera; the same on both machines"),
    TF_ARGUMENT,
    *NODE_ARGUMENTS,
)
NODES = {
    "robot": ("keyframe_node",),
    "computer": ("depth_node", "mapper_node"),
    "all": ("keyframe_node", "depth_node", "mapper_node"),
}


def start(context: LaunchContext) -> list:
    """Return the nodes of this machine and, if wanted, RViz."""
    where = text(context, "where")
    if where not in NODES:
        raise ConfigError.from_parts(
            "argument where", repr(where), "all, robot or computer", "correct it"
        )
    clock = sim_time(context)
    passed = {**given(context, PASSED), **clock}
    started = rviz(context, clock, remapped(context, TOPICS))
    for executable in NODES[where]:
        remap = remapped(context, TOPICS) if executable == "keyframe_node" else []
        files = parameter_files(context)
        started += our_node(context, executable, passed, files=files, remap=remap)
    return started


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return described(ARGUMENTS, start)
