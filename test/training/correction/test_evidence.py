"""Evidence of walks: what is recorded, how it is kept, and what damage does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config.errors import DataError, DepthError, TrainingError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.refine.learned_correction.features import CorrectionFeatures
from e2e_slam_ros.refine.learned_correction.learned_correction import LearnedDepth
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.refine.learned_correction.weights_file import save_correction
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.training.correction import rendered_walk
from e2e_slam_ros.training.correction.disturbed_depth import disturbed
from e2e_slam_ros.training.correction.evidence import read_evidence, read_sizes
from e2e_slam_ros.training.correction.evidence_recording import record_evidence
from e2e_slam_ros.training.correction.evidence_set import EvidenceSet, RecordingConditions
from e2e_slam_ros.training.correction.rendered_walk import RenderedWalk
from e2e_slam_ros.training.correction.walk_frames import WalkFrames


def test_evidence_is_recorded_once(recorded: EvidenceSet, walks: list[RenderedWalk]) -> None:
    assert recorded.missing() == [] and recorded.render_missing() == 0
    others = [replace(walks[0], config=replace(walks[0].config, pose_noise_m=0.01)), *walks]
    conditions = RecordingConditions(recorded.folder)
    assert EvidenceSet(others, conditions).missing() == [0]


def test_depth_and_truth_are_metres_of_one_keyframe(recorded: EvidenceSet) -> None:
    sizes = recorded.sizes(0)
    assert sizes.count > 3
    ratios = []
    for index in range(sizes.count):
        item = recorded.evidence(0, index)
        assert item.coarse.shape == (26, sizes.height, sizes.width)
        assert item.fine.shape == (13, 2 * sizes.height, 2 * sizes.width)
        assert all(
            array.dtype == np.float16 and np.isfinite(array).all()
            for array in (item.coarse, item.fine, item.depth, item.truth)
        )
        ratio = item.depth.astype(float) / item.truth
        ratios.append(np.abs(np.log(ratio)).mean())
    apart = [
        np.abs(np.log(recorded.evidence(1, 0).depth.astype(float).mean() / item.truth)).mean()
        for item in (recorded.evidence(0, index) for index in range(sizes.count))
    ]
    assert np.mean(ratios) < min(0.35, float(np.mean(apart)))


def test_frames_without_depth_are_views_alone(walks: list[RenderedWalk]) -> None:
    walk = walks[0].frames()
    frames = list(walk.frames)
    every = record_evidence(WalkFrames(frames, 0.0, Dice(0)))
    some = [replace(frame, depth=None) if frame.index == 2 else frame for frame in frames]
    fewer = record_evidence(WalkFrames(some, 0.0, Dice(0)))
    assert 0 < len(fewer) < len(every)
    none = [replace(frame, T_map_camera=None) for frame in frames]
    assert record_evidence(WalkFrames(none, 0.0, Dice(0))) == []


def test_a_walk_is_always_the_same(recorded: EvidenceSet, walks: list[RenderedWalk]) -> None:
    again = record_evidence(walks[1].frames())
    assert len(again) == recorded.sizes(1).count
    assert np.array_equal(again[-1].coarse, recorded.evidence(1, len(again) - 1).coarse)


def test_a_crowded_room_gives_no_evidence(
    walks: list[RenderedWalk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_way(*_: object) -> torch.Tensor:
        raise DataError("crowded")

    monkeypatch.setattr(rendered_walk, "smooth_trajectory", no_way)
    evidence = EvidenceSet(walks[:1], RecordingConditions(tmp_path))
    assert evidence.render_missing() == 1 and evidence.sizes(0).count == 0
    with pytest.raises(IndexError, match="keyframe 0 of 0"):
        evidence.evidence(0, 0)


def test_a_damaged_file_is_recorded_again(
    recorded: EvidenceSet, walks: list[RenderedWalk], tmp_path: Path
) -> None:
    conditions = RecordingConditions(tmp_path)
    path = conditions.path(walks[0])
    whole = recorded.evidence(0, 0)
    path.write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="delete the file"):
        read_sizes(path)
    evidence = EvidenceSet(walks[:1], conditions)
    assert evidence.sizes(0) == recorded.sizes(0)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TrainingError, match="delete the file"):
        read_evidence(path, 0)
    assert np.array_equal(evidence.evidence(0, 0).truth, whole.truth)


def test_an_earlier_correction_corrects_meanwhile(
    recorded: EvidenceSet, walks: list[RenderedWalk], tmp_path: Path
) -> None:
    network = CorrectionNet()
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias[:4] = 0.3
    weights = save_correction(network, tmp_path / "earlier.safetensors", {})
    conditions = RecordingConditions(tmp_path, str(weights), 1.0)
    evidence = EvidenceSet(walks[:1], conditions)
    assert evidence.missing() == [0] and evidence.render_missing() == 1
    last = recorded.sizes(0).count - 1
    assert not np.array_equal(evidence.evidence(0, last).coarse, recorded.evidence(0, last).coarse)
    missing = RecordingConditions(tmp_path, "none.safetensors", 1.0)
    with pytest.raises(DepthError, match=r"none\.safetensors"):
        EvidenceSet(walks, missing).missing()


def test_refused_keyframes_leave_no_evidence(walks: list[RenderedWalk]) -> None:
    def refused(features: CorrectionFeatures, depth: torch.Tensor) -> LearnedDepth:
        raise DepthError("refused")

    assert record_evidence(walks[0].frames(), refused) == []


def test_frames_are_rendered_when_they_are_wanted(walks: list[RenderedWalk]) -> None:
    walk = walks[0].frames()
    assert isinstance(walk.frames, Iterator)
    frame = next(walk.frames)
    assert isinstance(frame, Frame) and frame.image.shape == (72, 96, 3)


def test_several_processes_record_the_same(
    recorded: EvidenceSet, walks: list[RenderedWalk], tmp_path: Path
) -> None:
    other = EvidenceSet(walks, RecordingConditions(tmp_path))
    assert other.render_missing(processes=2) == 2
    assert np.array_equal(other.evidence(1, 0).fine, recorded.evidence(1, 0).fine)


def test_disturbed_depth_depends_on_the_dice_alone() -> None:
    depth = torch.full((1, 1, 48, 64), 2.0)
    depth[..., :8] = 0.0
    assert disturbed(depth, 0.0, Dice(0)) is depth
    one, same, other = (disturbed(depth, 0.2, Dice(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert (one[..., :8] == 0).all() and (one[..., 8:] > 0).all()
    assert 0.02 < float((one[..., 24:] / 2.0).log().abs().mean()) < 0.6
