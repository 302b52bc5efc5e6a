"""A refused keyframe leaves no trace, whatever stage refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.refine import depth_plan, depth_stage
from e2e_slam_ros.refine.refiner import GuardedRefiner
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.preprocess import Preprocessor
from refine.rooms import network_config, use_tiny_network, wall_frame

CPU = torch.device("cpu")
# Stage -> the object and the name of the call that stands for it.
STAGES: dict[str, tuple[object, str]] = {
    "prepare": (Preprocessor, "keyframe"),
    "depth": (type("NotYet", (), {}), "estimate"),
    "motion": (depth_plan, "motion_cue"),
    "scale": (depth_stage, "find_scale"),
    "refine": (GuardedRefiner, "refine"),
    "fuse": (SurfelMap, "fuse"),
}
SETTINGS = {
    "refine.strategy": "network",
    "refine.steps": 2,
    "refine.wait_keyframes": 1,
    "map.revisable_keyframes": 3,
}


@dataclass(frozen=True)
class Step:
    """One frame of a walk: how far it goes, and the stage that refuses it."""

    way_m: float
    refused_by: str | None


STEP = st.builds(
    Step,
    st.sampled_from([0.01, 0.1, 0.16]),
    st.one_of(st.none(), st.none(), st.sampled_from(sorted(STAGES))),
)


@contextmanager
def refusing(system: SlamPipeline, stage: str, late: bool) -> Iterator[None]:
    """Let a stage raise; ``late``: after it has done its work."""
    owner, name = STAGES[stage]
    if stage == "depth":
        owner = type(system.source)
    original = getattr(owner, name)

    def refuse(*args: object, **kwargs: object) -> None:
        if late:
            original(*args, **kwargs)
        raise DepthError(f"refused by {stage}")

    # What the map has fused it cannot give back: its own refusals come first.
    late = late and stage != "fuse"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, refuse)
        yield


def walk(
    system: SlamPipeline, frames: list[tuple[Frame, str | None]], late: bool
) -> tuple[list[Frame], list[KeyframeDecision]]:
    """Return the frames that were refused, and the decisions about the others."""
    refused, decisions = [], []
    for frame, stage in frames:
        decision = system.choose_keyframe(frame)
        if decision.is_keyframe and stage is not None:
            with refusing(system, stage, late), pytest.raises(DepthError, match="refused by"):
                system.map_keyframe(frame, decision)
            refused.append(frame)
            continue
        decisions.append(decision)
        if decision.is_keyframe:
            system.map_keyframe(frame, decision)
    return refused, decisions


def state(system: SlamPipeline) -> dict[str, object]:
    """Everything a keyframe can leave behind."""
    memory = {}
    for item in system.keyframes.recent():
        assert item.estimate is not None and item.raw is not None
        memory[item.keyframe.index] = (
            item.keyframe.stamp_ns,
            float(item.raw.depth.double().sum()),
            float(item.estimate.depth.double().sum()),
            None if item.motion_weight is None else float(item.motion_weight.double().sum()),
            [view.stamp_ns for view in item.between],
        )
    counts = system.depth_stage.counts
    return {
        "memory": memory,
        "poses": {index: pose.tolist() for index, pose in system.keyframes.poses().items()},
        "map": system.surfels.state_hash(),
        "learned": {name: v.tolist() for name, v in system.state_dict().items()},
        "counts": (counts.refined, counts.rolled_back, counts.steps, dict(counts.refused)),
    }


@given(steps=st.lists(STEP, min_size=4, max_size=9), late=st.booleans())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_refused_keyframe_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, steps: list[Step], late: bool
) -> None:
    x_m, frames = 0.0, []
    for index, step in enumerate(steps):
        x_m += step.way_m
        frames.append((wall_frame(index, x_m), step.refused_by))
    use_tiny_network(monkeypatch)
    disturbed = SlamPipeline(network_config(**SETTINGS), CPU)
    refused, decisions = walk(disturbed, frames, late)
    use_tiny_network(monkeypatch)
    quiet = SlamPipeline(network_config(**SETTINGS), CPU)
    never_seen = {frame.stamp_ns for frame in refused}
    rest = [(frame, None) for frame, _ in frames if frame.stamp_ns not in never_seen]
    assert walk(quiet, rest, late) == ([], decisions)
    assert state(disturbed) == state(quiet)
    # The rule, too: what comes next is judged alike.
    later = wall_frame(len(steps), x_m + 0.05)
    assert disturbed.choose_keyframe(later) == quiet.choose_keyframe(later)
