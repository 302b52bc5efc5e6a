"""Map with a camera whose driver runs already."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "e2e_slam_ros"
CONFIG = PathJoinSubstitution([FindPackageShare(PACKAGE), "config"])
RVIZ = PathJoinSubstitution([FindPackageShare(PACKAGE), "rviz", "slam.rviz"])
TOPICS = {
    "image_topic": ("/camera/color/image_raw", "camera/image_raw"),
    "camera_info_topic": ("/camera/color/camera_info", "camera/camera_info"),
    "depth_topic": ("/camera/aligned_depth_to_color/image_raw", "camera/depth/image_raw"),
    "pose_topic": ("/camera/pose", "camera/pose"),
    "odometry_topic": ("/odom", "odom"),
}
ARGUMENTS = (
    *((name, theirs, f"the driver's topic for {ours}") for name, (theirs, ours) in TOPICS.items()),
    (
        "pose_source",
        "tf",
        "topic, odometry, tf; or found from the images: visual, icp, gradicp, photometric",
    ),
    ("depth_source", "sensor", "sensor: the depth topic; network: predicted"),
    (
        "params_file",
        PathJoinSubstitution([CONFIG, "live.yaml"]),
        "parameter file; config/slam.yaml names every parameter",
    ),
    ("output", "", "folder for maps that ~/save_map saves; empty: where launch was started"),
    ("viewer", "none", "web: live map in a browser at 127.0.0.1:8080; rerun: view or recording"),
    ("rviz", "false", "true: start rviz2 with rviz/slam.rviz"),
    ("use_sim_time", "false", "true with a simulator that publishes /clock"),
    ("namespace", "", "namespace of slam_node and the topics it publishes"),
    ("log_level", "info", "log level of the nodes"),
)


def typed(name: str, kind: type) -> ParameterValue:
    """Return a launch argument as a parameter of one type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def generate_launch_description() -> LaunchDescription:
    """Return slam_node and, if wanted, RViz."""
    namespace = LaunchConfiguration("namespace")
    sim_time = {"use_sim_time": typed("use_sim_time", bool)}
    # One parameter file only: rcl keeps the wrong value when the same nested names come in two
    # files and then, as launch_ros writes them, dotted. Defaults are built into the nodes.
    how = {
        "pose.source": typed("pose_source", str),
        "depth.source": typed("depth_source", str),
        "runtime.output": typed("output", str),
        "runtime.viewer": typed("viewer", str),
    }
    slam = Node(
        package=PACKAGE,
        executable="slam_node",
        namespace=namespace,
        parameters=[ParameterFile(LaunchConfiguration("params_file")), how, sim_time],
        remappings=[(ours, LaunchConfiguration(name)) for name, (_, ours) in TOPICS.items()],
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
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
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, slam, rviz])
