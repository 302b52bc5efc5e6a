"""Scores of keyframes before and after, and what the reports make of them."""

from __future__ import annotations

import json
import math

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.evaluation.adaptation.figures import before_after_grid, error_curves
from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport, Forgetting
from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore, RefinedKeyframe, score_keyframe
from e2e_slam_ros.evaluation.depth.scores import DepthScores
from e2e_slam_ros.refine.result import RefineOutcome, Refusal, StopReason, refusal
from synthetic import CAMERA

TRUTH = torch.full((1, 1, 48, 64), 2.0)
# The left half has texture.
IMAGE = torch.full((1, 3, 48, 64), 0.5)
IMAGE[..., :32] = torch.rand((1, 3, 48, 32), generator=torch.Generator().manual_seed(0))
PNG = b"\x89PNG\r\n\x1a\n"


def ended(stopped: StopReason = StopReason.STEPS_DONE) -> RefineOutcome:
    return RefineOutcome(TRUTH, torch.zeros(6, 6), torch.zeros(6), 5, 5, stopped, None, 0.1)


def refined(
    before: float | torch.Tensor,
    after: float | torch.Tensor,
    outcome: RefineOutcome | None = None,
    geometric: torch.Tensor | None = None,
    image: torch.Tensor = IMAGE,
) -> RefinedKeyframe:
    """With depths that are the truth times these factors."""
    decision = KeyframeDecision(True, "first")
    keyframe = Keyframe(0, 3, 0, image, CAMERA, torch.eye(4).double(), None, decision)
    first = TRUTH * before
    return RefinedKeyframe(
        keyframe, TRUTH, first, first, TRUTH * after, outcome or ended(), 0.2, geometric
    )


def score(
    before: float | torch.Tensor,
    after: float | torch.Tensor,
    outcome: RefineOutcome | None = None,
    geometric: torch.Tensor | None = None,
) -> KeyframeScore:
    """Of depths that are the truth times these factors."""
    found = score_keyframe(refined(before, after, outcome, geometric), 0.1, 8.0)
    assert found is not None
    return found


def report(*scores: KeyframeScore, forgetting: Forgetting | None = None) -> AdaptationReport:
    config = Config().with_values({"refine.strategy": "network"})
    return AdaptationReport(
        "pair", "wall", 9, {"no pose": 1}, "network", config, scores, forgetting, "here", None
    )


def raw(scores: DepthScores) -> float:
    assert scores.raw is not None
    return scores.raw.abs_rel


def test_stages_are_compared_on_the_same_pixels() -> None:
    before = torch.full((1, 1, 48, 64), 1.2)
    before[..., 40:] = 3.0
    after = torch.full((1, 1, 48, 64), 1.1)
    after[..., 40:] = 0.0
    found = score(before, after)
    # What one of them leaves out counts for none.
    assert raw(found.before.every) == pytest.approx(0.2, rel=1e-5)
    assert raw(found.after.every) == pytest.approx(0.1, rel=1e-5)
    assert (found.pixels, found.wanted) == (48 * 40, 48 * 64)


def test_nothing_in_common_is_no_score() -> None:
    assert score_keyframe(refined(1.0, 0.0), 0.1, 8.0) is None


def test_textured_pixels_are_told_apart() -> None:
    after = torch.ones((1, 1, 48, 64))
    after[..., 36:] = 1.5
    found = score(1.5, after)
    assert raw(found.after.textured) == pytest.approx(0.0, abs=1e-6)
    assert raw(found.after.untextured) > 0.4


@pytest.mark.parametrize(("after", "worse"), [(1.104, False), (1.106, True), (0.9, False)])
def test_worse_means_more_than_five_percent(after: float, worse: bool) -> None:
    assert score(1.1, after).worse() is worse
    assert not score(1.1, after).worse(median_scaled=True)


def test_the_json_has_means_and_counts() -> None:
    refused = refusal(TRUTH, Refusal.SMALL_PARALLAX)
    found = report(
        score(1.4, 1.1, geometric=TRUTH * 1.3),
        score(1.2, 1.3, ended(StopReason.CONVERGED)),
        score(1.2, 1.2, refused),
        score(1.2, 1.2, ended(StopReason.HELD_BACK_ROSE)),
    ).to_json()
    assert found["before"]["abs_rel"] == pytest.approx(0.25, rel=1e-5)
    assert found["after"]["abs_rel"] == pytest.approx(0.2, rel=1e-5)
    assert found["change"]["raw"] == pytest.approx(-0.2, rel=1e-4)
    assert found["before_median_scaled"]["abs_rel"] == pytest.approx(0.0, abs=1e-6)
    assert found["geometric"]["raw"]["abs_rel"] == pytest.approx(0.3, rel=1e-5)
    assert found["textured"]["after"]["rmse_log"] > 0.0
    assert (found["keyframes"], found["worse_than_5pct"], found["rolled_back"]) == (4, 1, 1)
    assert found["refused"] == {"parallax too small": 1}
    assert found["stopped"]["loss stopped falling"] == 1
    assert (found["scale"], found["strategy"]) == ("motion", "network")
    assert found["seconds_per_keyframe"] == 0.2
    assert found["forgetting"] is None
    json.dumps(found, allow_nan=False)


def test_forgetting_is_told() -> None:
    scores = score(1.1, 1.2)
    forgetting = Forgetting(scores.before.every, scores.after.every, 20)
    told = report(scores, forgetting=forgetting)
    found = told.to_json()["forgetting"]
    assert found["keyframes"] == 20
    assert found["original"]["abs_rel"] == pytest.approx(0.1, rel=1e-4)
    assert found["adapted"]["abs_rel"] == pytest.approx(0.2, rel=1e-4)
    assert "first 20, adapted" in told.table(digits=4).markdown()


def test_the_markdown_is_one_table() -> None:
    text = report(score(1.4, 1.1, geometric=TRUTH)).table(digits=4).markdown()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {9}
    assert "| before | 0.4000 |" in text and "| after, untextured, scaled |" in text
    assert "left out: no pose (1)" in text


def test_pixels_of_one_kind_alone_leave_a_gap() -> None:
    flat = torch.full((1, 3, 48, 64), 0.5)
    found = score_keyframe(refined(1.0, 1.0, image=flat), 0.1, 8.0)
    assert found is not None
    told = report(found)
    assert told.to_json()["textured"]["after"] is None
    assert "| after, textured | –" in told.table(digits=4).markdown()
    assert math.isfinite(told.to_json()["change"]["raw"])


def test_pictures() -> None:
    sample = (refined(1.2, 0.0), score(1.2, 1.1))
    assert before_after_grid([sample], 0.1, 8.0).startswith(PNG)
    refused = score(1.2, 1.2, refusal(TRUTH, Refusal.SMALL_PARALLAX))
    assert error_curves([score(1.2, 1.1), refused]).startswith(PNG)
