"""The parameter tree: defaults, ranges, YAML, refusals."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.config.leaf import leaf, leaves, yaml_lines


def test_yaml_round_trip_keeps_every_value() -> None:
    config = Config().with_values(
        {"map.distance_m": 0.1, "runtime.offline": True, "depth.network.checkpoint": "a: b.pth"}
    )
    assert Config.from_yaml(config.to_yaml()) == config
    assert Config.from_yaml(config.to_yaml(documented=True)) == config


def test_every_parameter_is_documented_and_its_default_is_allowed() -> None:
    for info in parameters():
        assert len(info.doc) > 10, info.name
        assert info.check(info.default) == info.default


def test_a_leaf_says_whether_it_is_live() -> None:
    @dataclasses.dataclass(frozen=True)
    class Section:
        fixed: int = leaf(1, "built into a stage at start")
        free: float = leaf(2.0, "read at every keyframe", low=0.0, live=True)

    assert {info.name: info.live for info in leaves(Section())} == {"fixed": False, "free": True}
    comments = [line.strip() for line in yaml_lines(Section(), documented=True) if "#" in line]
    assert comments == [
        "# built into a stage at start (any number)",
        "# read at every keyframe (at least 0; live)",
    ]


def test_what_stages_are_built_from_is_not_live() -> None:
    live = {info.name for info in parameters() if info.live}
    assert live >= {"publish.period_s", "refine.steps", "refine.motion.enabled"}
    built = {"map.distance_m", "depth.source", "refine.wait_keyframes", "refine.scale.source"}
    assert not live & built


def test_the_yaml_is_a_ros_parameter_file() -> None:
    tree = yaml.safe_load(Config().to_yaml(documented=True))
    assert tree["/**"]["ros__parameters"]["keyframe"]["parallax"] == Config().keyframe.parallax


def test_integers_are_taken_for_floats_but_nothing_else_is_converted() -> None:
    assert Config().with_values({"depth.max_m": 5}).depth.max_m == 5.0
    for name, value in [
        ("depth.max_m", "5"),
        ("depth.max_m", True),
        ("depth.max_m", float("nan")),
        ("depth.max_m", float("inf")),
        ("camera.undistort", 1),
        ("map.max_surfels", 1e6),
        ("runtime.device", None),
    ]:
        with pytest.raises(ConfigError, match=f"parameter {name}: got .* expected"):
            Config().with_values({name: value})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("keyframe.min_overlap", 1.5, "0 to 1"),
        ("depth.source", "lidar", "one of sensor, motion_stereo, network, dro"),
        ("map.max_surfels", 10, "at least 1000"),
        ("depth.min_m", 9.0, r"less than depth.max_m \(8.0\)"),
        ("depth.motion.near_m", 9.0, r"less than depth.max_m \(8.0\)"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Config().with_values({name: value})


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean keyframe.parallax"):
        Config().with_values({"keyframe.paralax": 0.1})


def test_assignments_are_read_as_yaml() -> None:
    config = Config().with_assignments(
        ["runtime.offline=true", "depth.max_m = 4", "frames.camera="]
    )
    assert config.runtime.offline and config.depth.max_m == 4.0 and config.frames.camera == ""


@pytest.mark.parametrize("text", ["runtime.offline", "runtime.output=[", "=3"])
def test_bad_assignments_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Config().with_assignments([text])


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "depth: {typo: 3}", "/**: 3"])
def test_bad_parameter_files_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="got .* expected"):
        Config.from_yaml(text)


def test_an_empty_file_is_the_defaults() -> None:
    assert Config.from_yaml("") == Config.from_yaml("/**:\n  ros__parameters:\n") == Config()


def test_the_tree_is_immutable_and_errors_have_one_root() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().map.distance_m = 1.0  # type: ignore[misc]
    assert issubclass(ConfigError, E2ESlamError)


def test_numbers_with_an_exponent_are_read_from_texts_as_people_mean_them() -> None:
    changed = Config().with_assignments(
        ["map.max_surfels=1e6", "refine.network.learning_rate=2e-5"]
    )
    assert changed.map.max_surfels == 1_000_000
    assert changed.refine.network.learning_rate == 2e-5
    text = "/**:\n  ros__parameters:\n    map: {max_surfels: 5e5}\n"
    assert Config.from_yaml(text).map.max_surfels == 500_000
    with pytest.raises(ConfigError, match="a whole number"):
        Config().with_assignments(["map.max_surfels=1e-1"])
    # A folder may be called 1e5.
    assert Config().with_assignments(["runtime.output=1e5"]).runtime.output == "1e5"
