"""Stages follow one another; the rate rises, falls and begins again."""

from __future__ import annotations

import pytest

from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.schedule import stages_of


def test_stages_share_the_steps_and_empty_ones_are_left_out() -> None:
    config = SCSfMConfig().with_values({"pretraining.steps": 5, "self_supervision.steps": 7})
    assert [(s.name, s.first, s.last) for s in stages_of(config)] == [
        ("pretraining", 0, 5),
        ("self_supervision", 5, 12),
    ]
    alone = config.with_values({"pretraining.steps": 0})
    assert [(s.name, s.first, s.last) for s in stages_of(alone)] == [("self_supervision", 0, 7)]


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    config = SCSfMConfig().with_values(
        {
            "pretraining.steps": 110,
            "pretraining.warmup_steps": 10,
            "pretraining.learning_rate": 0.01,
            "pretraining.final_rate": 0.1,
        }
    )
    stage = stages_of(config)[0]
    rates = [stage.learning_rate(step) for step in range(110)]
    assert rates[0] == pytest.approx(0.001) and rates[9] == rates[10] == pytest.approx(0.01)
    assert rates[60] == pytest.approx(0.0055)  # half way down, between 0.01 and 0.001
    assert rates[109] == pytest.approx(0.001, rel=0.02)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_stage_shorter_than_its_warm_up_still_trains() -> None:
    config = SCSfMConfig().with_values({"pretraining.steps": 1, "pretraining.warmup_steps": 100})
    assert stages_of(config)[0].learning_rate(0) == config.pretraining.learning_rate
