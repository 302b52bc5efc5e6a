"""What can be checked of the launch files where ROS 2's `launch` is not installed."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent.parent
FILES = sorted((REPO / "launch").glob("*.launch.py"))
MODULES = (
    "ament_index_python",
    "ament_index_python.packages",
    "launch",
    "launch.actions",
    "launch.event_handlers",
    "launch.events",
    "launch.events.process",
    "launch.logging",
    "launch.substitutions",
    "launch_ros",
    "launch_ros.actions",
    "launch_ros.parameter_descriptions",
    "launch_ros.ros_adapters",
)
SHARED = ("launching", "launched_nodes", "node_watch")


def test_the_four_launch_files_are_there() -> None:
    names = [file.name.removesuffix(".launch.py") for file in FILES]
    assert names == ["bag_replay", "distributed", "live_camera", "tum_replay"]


Executed = Callable[[Path], tuple[dict[str, Any], MagicMock]]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executed]:
    """Run a launch file with doubles of `launch`: its namespace, and the double of its actions."""
    doubles = {name: MagicMock() for name in MODULES}
    for name, double in doubles.items():
        monkeypatch.setitem(sys.modules, name, double)
    names = [f"e2e_slam_ros.nodes.{name}" for name in SHARED]
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    yield lambda file: (runpy.run_path(str(file)), doubles["launch.actions"])
    # What was imported with the doubles must not stay.
    for name in names:
        sys.modules.pop(name, None)
        vars(sys.modules["e2e_slam_ros.nodes"]).pop(name.rpartition(".")[2], None)
    sys.modules.update(kept)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_argument_is_declared_documented_and_used(file: Path, executed: Executed) -> None:
    namespace, actions = executed(file)
    namespace["generate_launch_description"]()
    arguments = namespace["ARGUMENTS"]
    declared = [name for name, _, _ in arguments]
    assert len(set(declared)) == len(declared)
    assert all(text and not text.endswith(".") for _, _, text in arguments)
    assert {"use_sim_time", "rviz", "params_file"} <= set(declared)
    shown = [call.args[0] for call in actions.DeclareLaunchArgument.mock_calls]
    assert shown == declared
    # Named in the file or in what all files share, or passed as a parameter or a topic.
    shared = (REPO / "e2e_slam_ros" / "nodes" / f"{name}.py" for name in SHARED)
    source = "".join(path.read_text() for path in (file, *shared))
    used = set(
        re.findall(r'(?:LaunchConfiguration\(|(?:text|is_on|seconds)\(context, )"(\w+)"', source)
    )
    for table in ("TOPICS", "PASSED", "PLAYED"):
        used |= set(namespace.get(table, {}))
    assert set(declared) <= used
    # What roboticists set on the command line, whatever the file.
    assert {"map_frame", "odom_frame", "base_frame", "camera_frame", "publish_tf"} <= set(declared)
    assert {"output", "viewer", "respawn", "log_level", "namespace"} <= set(declared)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_launch_files_name_parameters_that_exist(file: Path, executed: Executed) -> None:
    from e2e_slam_ros.config import parameters

    namespace, _ = executed(file)
    known = {info.name: type(info.default) for info in parameters()} | {"use_sim_time": bool}
    assert all(known[name] is kind for name, kind in namespace["PASSED"].values())


def test_rviz_shows_our_topics_in_the_map_frame() -> None:
    tree = yaml.safe_load((REPO / "rviz" / "slam.rviz").read_text())
    manager = tree["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "map"
    assert manager["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"
    shown = {d["Name"]: d for d in manager["Displays"]}
    topics = {d["Topic"]["Value"]: d for d in shown.values() if "Topic" in d}
    on = {topic for topic, display in topics.items() if display["Enabled"]}
    assert on == {"cloud_map", "keyframe/cloud", "path", "camera/image_raw", "keyframe/depth"}
    assert set(topics) - on == {"map/active", "odometry", "grid"}
    assert topics["cloud_map"]["Topic"]["Durability Policy"] == "Transient Local"
    assert topics["cloud_map"]["Color Transformer"] == "RGB8"
    assert topics["camera/image_raw"]["Topic"]["Reliability Policy"] == "Best Effort"
    assert shown["TF"]["Enabled"]
