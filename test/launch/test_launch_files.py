"""What can be checked of the launch files where ROS 2's `launch` is not installed."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent.parent
FILES = sorted((REPO / "launch").glob("*.launch.py"))
MODULES = (
    "launch",
    "launch.actions",
    "launch.conditions",
    "launch.event_handlers",
    "launch.substitutions",
    "launch_ros",
    "launch_ros.actions",
    "launch_ros.parameter_descriptions",
    "launch_ros.substitutions",
)


def test_the_four_launch_files_are_there() -> None:
    names = [file.name.removesuffix(".launch.py") for file in FILES]
    assert names == ["bag_replay", "distributed", "live_camera", "tum_replay"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_argument_is_declared_documented_and_used(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubles = {name: MagicMock() for name in MODULES}
    for name, double in doubles.items():
        monkeypatch.setitem(sys.modules, name, double)
    namespace = runpy.run_path(str(file))
    namespace["generate_launch_description"]()
    arguments = namespace["ARGUMENTS"]
    declared = [name for name, _, _ in arguments]
    assert len(set(declared)) == len(declared)
    assert all(text and not text.endswith(".") for _, _, text in arguments)
    assert {"use_sim_time", "rviz", "params_file"} <= set(declared)
    # Written out, through typed("..."), or one of the topics.
    source = file.read_text()
    used = set(re.findall(r'(?:LaunchConfiguration|typed)\("(\w+)"', source))
    used |= set(namespace.get("TOPICS", {}))
    used |= {info.name for info in namespace.get("INPUT", ())}
    assert used == set(declared)
    shown = [call.args[0] for call in doubles["launch.actions"].DeclareLaunchArgument.mock_calls]
    assert shown == declared


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_launch_files_name_parameters_that_exist(file: Path) -> None:
    from e2e_slam_ros.config import parameters

    known = {info.name for info in parameters()}
    named = set(re.findall(r'"([a-z]+\.[a-z_]+)":', file.read_text()))
    assert named <= known


def test_rviz_shows_our_topics_in_the_map_frame() -> None:
    tree = yaml.safe_load((REPO / "rviz" / "slam.rviz").read_text())
    manager = tree["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "map"
    assert manager["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"
    shown = {d["Name"]: d for d in manager["Displays"]}
    topics = {d["Topic"]["Value"]: d for d in shown.values() if "Topic" in d}
    on = {topic for topic, display in topics.items() if display["Enabled"]}
    assert on == {"map", "keyframe/cloud", "path", "camera/image_raw", "keyframe/depth"}
    assert set(topics) - on == {"map/active", "odometry"}
    assert topics["map"]["Topic"]["Durability Policy"] == "Transient Local"
    assert topics["map"]["Color Transformer"] == "RGB8"
    assert topics["camera/image_raw"]["Topic"]["Reliability Policy"] == "Best Effort"
    assert shown["TF"]["Enabled"]
