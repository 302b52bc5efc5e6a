"""The settings of a training run: YAML, ranges, what may differ on resuming."""

from __future__ import annotations

import pytest

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig


def test_yaml_round_trip_keeps_every_value() -> None:
    config = SCSfMConfig().with_values(
        {"seed": 4, "self_supervision.weights.photometric": 0.7, "data.labelled.paths": "a: b, c"}
    )
    assert SCSfMConfig.from_yaml(config.to_yaml()) == config
    assert SCSfMConfig.from_yaml(config.to_yaml(documented=True)) == config


def test_every_setting_is_documented_and_its_default_is_allowed() -> None:
    for info in SCSfMConfig.settings():
        assert len(info.doc) > 10, info.name
        assert info.check(info.default) == info.default


def test_numbers_are_read_as_people_write_them() -> None:
    config = SCSfMConfig().with_assignments(
        ["pretraining.learning_rate=1e-4", "pretraining.steps=2e3", "optimiser.ema=0", "amp=off"]
    )
    assert config.amp == "off" and SCSfMConfig.from_yaml("tensorboard: on").tensorboard == "on"
    assert config.pretraining.learning_rate == 1e-4
    assert config.pretraining.steps == 2000 and config.optimiser.ema == 0.0


def test_a_range_of_frames_is_a_text() -> None:
    # YAML 1.1 reads 20:40 as 1240: a number to base 60.
    config = SCSfMConfig().with_assignments(["data.labelled.frames=20:40"])
    assert config.data.labelled.frames == "20:40"
    assert SCSfMConfig.from_yaml("validation: {frames: 1:30}").validation.frames == "1:30"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pretraining.step=3", "did you mean pretraining.steps"),
        ("pretraining.steps=-1", "at least 0"),
        ("pretraining.steps=1.5", "a whole number"),
        ("width=100", "multiples of 32"),
        ("amp=fp8", "one of auto, off, bf16, fp16"),
        ("objective.min_m=50", "less than objective.max_m"),
        ("seed", "key=value"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SCSfMConfig().with_assignments([text])


@pytest.mark.parametrize("text", ["a: [", "- 1", "seed: two", "nothing: 1"])
def test_bad_files_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="got .* expected"):
        SCSfMConfig.from_yaml(text)


def test_only_what_decides_the_result_counts_as_a_difference() -> None:
    config = SCSfMConfig()
    watched = config.with_values(
        {"threads": 4, "log_every": 3, "validation.path": "x", "data.procedural.cache": "y"}
    )
    assert config.differences(watched) == []
    other = config.with_values({"seed": 1, "data.procedural.rooms": 5, "optimiser.ema": 0.5})
    assert config.differences(other) == ["seed", "optimiser.ema", "data.procedural.rooms"]
