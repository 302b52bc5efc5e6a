"""Play a recording into slam_node: a TUM RGB-D or ICL-NUIM folder, or a bag. Ends with it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, RegisterEventHandler, Shutdown
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.config.leaf import leaves

PACKAGE = "e2e_slam_ros"
DEFAULTS = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "slam.yaml"])
RVIZ = PathJoinSubstitution([FindPackageShare(PACKAGE), "rviz", "slam.rviz"])
# The parts of the input, spelled as for `e2e-slam replay`: image_topic, camera_info_topic, ...
INPUT = tuple(leaves(InputOptions()))
ARGUMENTS = (
    ("data", None, "folder of the sequence"),
    *((info.name, str(info.default), info.doc) for info in INPUT),
    ("frames", "", "part of it as A:B; empty: all of it"),
    ("rate", "1.0", "speed relative to the recording; unused in lock-step"),
    ("lockstep", "false", "true: frame by frame, every keyframe mapped, the same map each time"),
    ("params_file", DEFAULTS, "parameter file; config/slam.yaml names every parameter"),
    ("output", "", "folder for saved maps; in lock-step the map is saved there at the end"),
    ("exit_when_done", "true", "end everything when the sequence has been played"),
    ("viewer", "none", "web: live map in a browser at 127.0.0.1:8080; rerun: view or recording"),
    ("rviz", "false", "true: start rviz2 with rviz/slam.rviz"),
    ("use_sim_time", "true", "nodes take their time from /clock, which the player publishes"),
    ("namespace", "", "namespace of the nodes and their topics"),
    ("log_level", "info", "log level of the nodes"),
)


def typed(name: str, kind: type) -> ParameterValue:
    """Return a launch argument as a parameter of one type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def generate_launch_description() -> LaunchDescription:
    """Return the player, slam_node and, if wanted, RViz."""
    namespace = LaunchConfiguration("namespace")
    logging = ["--ros-args", "--log-level", LaunchConfiguration("log_level")]
    sim_time = {"use_sim_time": typed("use_sim_time", bool)}
    what = {
        "data": typed("data", str),
        "frames": typed("frames", str),
        "rate": typed("rate", float),
        "lockstep": typed("lockstep", bool),
        **{info.name: typed(info.name, type(info.default)) for info in INPUT},
    }
    # One parameter file only: rcl keeps the wrong value when the same nested names come in two
    # files and then, as launch_ros writes them, dotted. Defaults are built into the nodes.
    how = {
        "runtime.offline": typed("lockstep", bool),
        "runtime.output": typed("output", str),
        "runtime.viewer": typed("viewer", str),
    }
    player = Node(
        package=PACKAGE,
        executable="dataset_player",
        namespace=namespace,
        parameters=[what],
        arguments=logging,
        output="screen",
        emulate_tty=True,
    )
    slam = Node(
        package=PACKAGE,
        executable="slam_node",
        namespace=namespace,
        parameters=[ParameterFile(LaunchConfiguration("params_file")), how, sim_time],
        arguments=logging,
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", RVIZ],
        parameters=[sim_time],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    end = RegisterEventHandler(
        OnProcessExit(target_action=player, on_exit=[Shutdown(reason="the sequence has ended")]),
        condition=IfCondition(LaunchConfiguration("exit_when_done")),
    )
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, slam, player, rviz, end])
