"""Play a rosbag2 with `ros2 bag play --clock` into slam_node; ends when the bag ends."""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "e2e_slam_ros"
DEFAULTS = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "slam.yaml"])
RVIZ = PathJoinSubstitution([FindPackageShare(PACKAGE), "rviz", "slam.rviz"])
TOPICS = {
    "image_topic": ("/camera/color/image_raw", "camera/image_raw"),
    "camera_info_topic": ("/camera/color/camera_info", "camera/camera_info"),
    "depth_topic": ("/camera/aligned_depth_to_color/image_raw", "camera/depth/image_raw"),
    "pose_topic": ("/camera/pose", "camera/pose"),
    "odometry_topic": ("/odom", "odom"),
}
ARGUMENTS = (
    ("bag", None, "the bag's folder or file"),
    *((name, theirs, f"the bag's topic for {ours}") for name, (theirs, ours) in TOPICS.items()),
    ("pose_source", "topic", "topic, odometry or tf: where the bag has the camera's poses"),
    ("depth_source", "sensor", "sensor: the bag's depth topic; network: predicted"),
    ("camera_frame", "", "optical frame of the camera; empty: as in the images' headers"),
    ("rate", "1.0", "speed relative to the recording"),
    ("delay", "8.0", "seconds until the bag starts, so that slam_node is ready"),
    ("params_file", DEFAULTS, "parameter file; config/slam.yaml names every parameter"),
    ("output", "", "folder for maps that ~/save_map saves"),
    ("exit_when_done", "true", "end everything when the bag has been played"),
    ("viewer", "none", "web: live map in a browser at 127.0.0.1:8080; rerun: view or recording"),
    ("rviz", "false", "true: start rviz2 with rviz/slam.rviz"),
    ("use_sim_time", "true", "nodes take their time from /clock, which the bag publishes"),
    ("log_level", "info", "log level of the nodes"),
)


def typed(name: str, kind: type) -> ParameterValue:
    """Return a launch argument as a parameter of one type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def generate_launch_description() -> LaunchDescription:
    """Return the bag, slam_node and, if wanted, RViz."""
    sim_time = {"use_sim_time": typed("use_sim_time", bool)}
    # One parameter file only: rcl keeps the wrong value when the same nested names come in two
    # files and then, as launch_ros writes them, dotted. Defaults are built into the nodes.
    how = {
        "pose.source": typed("pose_source", str),
        "depth.source": typed("depth_source", str),
        "frames.camera": typed("camera_frame", str),
        "runtime.output": typed("output", str),
        "runtime.viewer": typed("viewer", str),
    }
    command = ["ros2", "bag", "play", LaunchConfiguration("bag"), "--clock", "--rate"]
    bag = ExecuteProcess(cmd=[*command, LaunchConfiguration("rate")], output="screen")
    slam = Node(
        package=PACKAGE,
        executable="slam_node",
        parameters=[ParameterFile(LaunchConfiguration("params_file")), how, sim_time],
        remappings=[(ours, LaunchConfiguration(name)) for name, (_, ours) in TOPICS.items()],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", RVIZ],
        parameters=[sim_time],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    end = RegisterEventHandler(
        OnProcessExit(target_action=bag, on_exit=[Shutdown(reason="the bag has ended")]),
        condition=IfCondition(LaunchConfiguration("exit_when_done")),
    )
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    start = TimerAction(period=LaunchConfiguration("delay"), actions=[bag])
    return LaunchDescription([*arguments, slam, rviz, end, start])
