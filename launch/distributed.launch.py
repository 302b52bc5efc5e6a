"""The stages as separate processes, on one machine or on two.

On the robot: ``where:=robot`` (keyframe_node). On the computer with the GPU:
``where:=computer`` (depth_node and mapper_node). Both in the same ROS domain.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "e2e_slam_ros"
DEFAULTS = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "slam.yaml"])
RVIZ = PathJoinSubstitution([FindPackageShare(PACKAGE), "rviz", "slam.rviz"])
TOPICS = {
    "image_topic": "camera/image_raw",
    "camera_info_topic": "camera/camera_info",
    "depth_topic": "camera/depth/image_raw",
    "pose_topic": "camera/pose",
    "odometry_topic": "odom",
}
ARGUMENTS = (
    ("where", "all", "which nodes to start here: all, robot or computer"),
    *((name, ours, f"topic for {ours} (robot)") for name, ours in TOPICS.items()),
    ("pose_source", "topic", "topic, odometry or tf: where the camera's poses come from"),
    ("depth_source", "sensor", "sensor: the depth topic; network: predicted by depth_node"),
    ("offline", "false", "true: map every keyframe in order, for a player in lock-step"),
    ("params_file", DEFAULTS, "parameter file; config/slam.yaml names every parameter"),
    ("output", "", "folder for saved maps"),
    ("rviz", "false", "true: start rviz2 with rviz/slam.rviz"),
    ("use_sim_time", "false", "true when a player or simulator publishes /clock"),
    ("namespace", "", "namespace of the nodes; the same on both machines"),
    ("log_level", "info", "log level of the nodes"),
)


def typed(name: str, kind: type) -> ParameterValue:
    """Return a launch argument as a parameter of one type."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def runs_on(place: str) -> IfCondition:
    """Return the condition that the nodes of ``place`` are wanted here."""
    return IfCondition(
        PythonExpression(["'", LaunchConfiguration("where"), f"' in ('all', '{place}')"])
    )


def generate_launch_description() -> LaunchDescription:
    """Return the nodes of this machine and, if wanted, RViz."""
    namespace = LaunchConfiguration("namespace")
    sim_time = {"use_sim_time": typed("use_sim_time", bool)}
    # One parameter file only: rcl keeps the wrong value when the same nested names come in two
    # files and then, as launch_ros writes them, dotted. Defaults are built into the nodes.
    how = {
        "pose.source": typed("pose_source", str),
        "depth.source": typed("depth_source", str),
        "runtime.offline": typed("offline", bool),
        "runtime.output": typed("output", str),
    }

    def node(executable: str, place: str) -> Node:
        inputs = TOPICS if executable == "keyframe_node" else {}
        return Node(
            package=PACKAGE,
            executable=executable,
            namespace=namespace,
            parameters=[
                ParameterFile(LaunchConfiguration("params_file")),
                how,
                sim_time,
            ],
            remappings=[(ours, LaunchConfiguration(name)) for name, ours in inputs.items()],
            arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
            output="screen",
            condition=runs_on(place),
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
    nodes = [
        node("keyframe_node", "robot"),
        node("depth_node", "computer"),
        node("mapper_node", "computer"),
    ]
    return LaunchDescription([*arguments, *nodes, rviz])
