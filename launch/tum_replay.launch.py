"""Play a recording of any layout into slam_node. Ends with it."""

from launch import LaunchContext, LaunchDescription

from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.config.leaf import leaves
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
    is_on,
    parameter_files,
    sim_time,
)

# The parts of the input, spelled as for `e2e-slam replay`: image_topic, camera_info_topic, ...
INPUT = tuple(leaves(InputOptions()))
PLAYED = {
    "data": ("data", str),
    "frames": ("frames", str),
    "rate": ("rate", float),
    "lockstep": ("lockstep", bool),
    **{info.name: (info.name, type(info.default)) for info in INPUT},
}
PASSED = {
    **FRAMES,
    **OUTPUTS,
    **STARTS,
}
ARGUMENTS = (
    ("data", None, "folder of the sequence"),
    *((info.name, str(info.default), info.doc) for info in INPUT),
    ("frames", "", "part of it as A:B; empty: all of it"),
    ("rate", "1.0", "speed relative to the recording; unused in lock-step"),
    ("lockstep", "false", "true: frame by frame, every keyframe mapped, the same map each time"),
    ("params_file", "", "parameter file; config/slam.yaml names every parameter"),
    # The player has map_frame and camera_frame too.
    *(item for item in FRAME_ARGUMENTS if item[0] not in {info.name for info in INPUT}),
    *OUTPUT_ARGUMENTS,
    ("exit_when_done", "true", "end everything when the sequence has been played"),
    ("use_sim_time", "", "false: nodes do not take their time from the player's /clock"),
    ("namespace", "", "namespace of the nodes and their topics"),
    TF_ARGUMENT,
    *NODE_ARGUMENTS,
)


def start(context: LaunchContext) -> list:
    """Return the player, slam_node and, if wanted, RViz."""
    clock = sim_time(context, preset=True)
    passed = {**given(context, PASSED), **clock}
    if is_on(context, "lockstep"):
        passed["runtime.offline"] = True
    slam = our_node(
        context, "slam_node", passed, files=parameter_files(context, preset="replay.yaml")
    )
    player = our_node(
        context,
        "dataset_player",
        # slam_node may take long to start; if it fails, everything ends.
        {**given(context, PLAYED), "wait_s": 600.0},
        ends=is_on(context, "exit_when_done"),
        emulate_tty=True,
    )
    return [*rviz(context, clock), *slam, *player]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` starts."""
    return described(ARGUMENTS, start)
