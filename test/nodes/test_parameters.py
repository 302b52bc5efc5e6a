from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.nodes.parameters import NodeParameters, overrides

REPO = Path(__file__).resolve().parent.parent.parent


@contextmanager
def node(domain: int, arguments: list[str], given: list[Parameter]) -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(args=["test", *arguments], context=context, domain_id=domain)
    made = Node("slam_node", context=context, parameter_overrides=given)
    try:
        yield made
    finally:
        made.destroy_node()
        context.try_shutdown()


def test_every_leaf_is_a_documented_parameter_with_its_default(ros_domain: int) -> None:
    with node(ros_domain, [], []) as made:
        assert NodeParameters(made, lambda _: None).config == Config()
        for info in parameters():
            shown = made.describe_parameter(info.name)
            assert shown.description == info.doc
            assert shown.read_only == (not info.live)


def test_the_shipped_file_holds_every_parameter_as_it_is_in_the_code(ros_domain: int) -> None:
    text = (REPO / "config" / "slam.yaml").read_text()
    body = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    assert body == Config().to_yaml(documented=True), (
        "config/slam.yaml is not what Config().to_yaml(documented=True) gives"
    )
    file = str(REPO / "config" / "slam.yaml")
    with node(ros_domain, ["--ros-args", "--params-file", file], []) as made:
        assert NodeParameters(made, lambda _: None).config == Config()


@pytest.mark.parametrize("file", sorted((REPO / "config").glob("*.yaml")), ids=lambda f: f.name)
def test_every_shipped_file_loads(ros_domain: int, file: Path) -> None:
    expected = Config.from_yaml(file.read_text())
    assert yaml.safe_load(file.read_text())
    with node(ros_domain, ["--ros-args", "--params-file", str(file)], []) as made:
        assert NodeParameters(made, lambda _: None).config == expected


def test_a_configuration_reaches_a_node_of_this_process(ros_domain: int) -> None:
    config = Config().with_values({"map.distance_m": 0.02, "runtime.output": "/tmp/x"})
    with node(ros_domain, [], overrides(config)) as made:
        assert NodeParameters(made, lambda _: None).config == config


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("keyframe.paralax:=0.1", "keyframe.parallax"),
        ("keyframe.parallax:=-1.0", "at least 0"),
        ("keyframe.parallax:=true", "float"),
        ("pose.source:=guess", "one of topic"),
        ("depth.min_m:=100.0", "depth.max_m"),
    ],
)
def test_a_wrong_setting_is_named(ros_domain: int, setting: str, said: str) -> None:
    with node(ros_domain, ["--ros-args", "-p", setting], []) as made:
        with pytest.raises(ConfigError, match=said):
            NodeParameters(made, lambda _: None)


@pytest.mark.parametrize("word", ["on", "off"])
def test_a_bare_on_or_off_is_the_choice_of_that_name(ros_domain: int, word: str) -> None:
    # YAML reads both as booleans, in files and behind -p.
    with node(ros_domain, ["--ros-args", "-p", f"pose.refine:={word}"], []) as made:
        assert NodeParameters(made, lambda _: None).config.pose.refine == word


def test_a_running_node_takes_exactly_the_live_parameters(ros_domain: int) -> None:
    with node(ros_domain, [], []) as made:
        NodeParameters(made, lambda _: None)
        for info in parameters():
            (answer,) = made.set_parameters([Parameter(info.name, value=info.default)])
            assert answer.successful == info.live, f"{info.name}: {answer.reason}"


def test_some_parameters_change_while_running_and_bad_values_do_not(ros_domain: int) -> None:
    seen: list[Config] = []
    with node(ros_domain, [], []) as made:
        settings = NodeParameters(made, seen.append)
        (good,) = made.set_parameters([Parameter("publish.period_s", value=2.5)])
        (bad,) = made.set_parameters([Parameter("publish.period_s", value=-2.5)])
        (fixed,) = made.set_parameters([Parameter("map.distance_m", value=0.5)])
        assert good.successful and not bad.successful and not fixed.successful
        assert settings.config.publish.period_s == 2.5
        assert settings.config.map == Config().map
    assert [config.publish.period_s for config in seen] == [2.5]
