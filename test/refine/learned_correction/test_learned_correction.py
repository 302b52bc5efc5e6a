"""The learned step of the correction: what it sees, what it changes, and when it is left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest
import torch

from e2e_slam_ros.config import Config, DepthConfig
from e2e_slam_ros.config.motion_evidence import MotionEvidenceConfig
from e2e_slam_ros.refine.correction import CorrectedDepth, MotionCorrection
from e2e_slam_ros.refine.depth_sigma import NetworkErrors
from e2e_slam_ros.refine.learned_correction.features import COARSE, FINE, CorrectionFeatures
from e2e_slam_ros.refine.learned_correction.learned_correction import (
    LearnedCorrection,
    LearnedDepth,
)
from e2e_slam_ros.refine.learned_correction.network import CorrectionNet
from e2e_slam_ros.refine.learned_correction.weights_file import load_shipped_correction
from e2e_slam_ros.refine.motion_sweep import MotionSweep, sweep_neighbours
from e2e_slam_ros.slam.pipeline import SlamPipeline
from multiview.test_plane_sweep import view
from synthetic import pose

WALL_M = 2.0
NETWORK = torch.full((1, 1, 120, 160), 2.3)


@dataclass
class Recorder:
    """Remembers what it is shown, and returns the depth it is given and one deviation or none."""

    sigma: float | None = None
    seen: list[CorrectionFeatures] = field(default_factory=list)

    def __call__(self, features: CorrectionFeatures, depth: torch.Tensor) -> LearnedDepth:
        self.seen.append(features)
        sigma = None if self.sigma is None else torch.full_like(depth, self.sigma)
        return LearnedDepth(depth, sigma)


def sweep_of_a_wall(**values: object) -> MotionSweep:
    config = replace(MotionEvidenceConfig(), **values)  # type: ignore[arg-type]
    sources = [view(i + 1, pose(x=x)) for i, x in enumerate([-0.2, 0.15, 0.3])]
    sweep = sweep_neighbours(view(0, pose()), sources, DepthConfig(), config)
    assert sweep is not None
    return sweep


def corrected(
    step: Recorder | LearnedCorrection | None, sweep: MotionSweep | None = None
) -> CorrectedDepth:
    correction = MotionCorrection(DepthConfig(), step)
    errors = NetworkErrors(torch.full_like(NETWORK, 0.1))
    return correction.correct(NETWORK, sweep or sweep_of_a_wall(), errors)


def test_it_sees_the_evidence_as_finite_images() -> None:
    recorder = Recorder()

    depth = corrected(recorder).depth

    (features,) = recorder.seen
    assert features.coarse.shape == (1, COARSE, 120, 160)
    assert features.fine.shape == (1, FINE, 240, 320)
    assert bool(features.coarse.isfinite().all()) and bool(features.fine.isfinite().all())
    planes, so_far = features.coarse[0, :2].exp() * 2.3  # both are shown over the network's depth
    assert float(planes.median()) == pytest.approx(WALL_M, rel=0.02)
    assert float(so_far.median()) == pytest.approx(float(depth.median()), rel=1e-3)


def test_a_step_that_changes_nothing_leaves_depth_and_deviation_as_they_were() -> None:
    without, with_it = corrected(None), corrected(Recorder())
    assert torch.equal(without.depth, with_it.depth)
    assert without.sigma is not None and with_it.sigma is not None
    assert torch.equal(without.sigma, with_it.sigma)


def test_a_new_network_changes_nothing_and_states_one_deviation() -> None:
    network = CorrectionNet().eval()
    with torch.no_grad():
        network.head.weight.zero_()
    before = corrected(Recorder(math.exp(network.head.bias[4].item())))
    after = corrected(LearnedCorrection(network))
    torch.testing.assert_close(after.depth, before.depth)
    assert after.sigma is not None and float(after.sigma.max() / after.sigma.min()) < 1.001


def test_a_change_of_all_depth_is_believed_in_part_and_shapes_wholly() -> None:
    network = CorrectionNet().eval()
    size = (1, 1, 240, 320)
    features = CorrectionFeatures(torch.zeros(1, COARSE, 120, 160), torch.zeros(1, FINE, 240, 320))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias[:4] = torch.tensor([0.2, 0.2, 0.2, 0.3])  # of each four pixels one more

    depth = LearnedCorrection(network)(features, torch.ones(size)).depth

    assert 1.0 < float(depth[0, 0, 0, 0]) < 1.15
    assert float(depth[0, 0, 1, 1] / depth[0, 0, 0, 0]) == pytest.approx(1.105, rel=1e-3)


def test_what_is_not_believed_of_a_change_makes_depth_uncertain() -> None:
    network = CorrectionNet().eval()
    with torch.no_grad():
        network.head.weight.zero_()
        before = corrected(LearnedCorrection(network)).sigma
        network.head.bias[:4] = 0.4
        after = corrected(LearnedCorrection(network)).sigma
    assert before is not None and after is not None
    assert float(after.median()) > float(before.median()) + 0.005


def test_the_packages_weights_harm_a_wall_that_motion_sees_well_no_more_than_they_say() -> None:
    """The wall's pattern is like nothing that they have learned from."""

    def error(result: CorrectedDepth) -> float:
        return float((result.depth / WALL_M).log().abs().mean())

    learned = corrected(LearnedCorrection(load_shipped_correction()))

    assert error(learned) < max(1.3 * error(corrected(None)), 0.02)
    assert learned.sigma is not None and learned.sigma.shape == learned.depth.shape
    assert error(learned) < 1.2 * float(learned.sigma.mean())
    assert 0.0 < float(learned.sigma.min())


@pytest.mark.parametrize("size", [(90, 120), (120, 160), (107, 161)])
def test_sweeps_of_any_size_are_taken(size: tuple[int, int]) -> None:
    height, width = size
    features = CorrectionFeatures(
        torch.rand(1, COARSE, height, width), torch.rand(1, FINE, 2 * height, 2 * width)
    )
    native = torch.full((1, 1, 2 * height + 3, 3 * width), 2.0)
    answer = LearnedCorrection(load_shipped_correction())(features, native)
    assert answer.depth.shape == native.shape
    # By a factor of two at most, whatever it is shown.
    assert 0.99 < float(answer.depth.min()) and float(answer.depth.max()) < 4.1


@pytest.mark.parametrize("steps", [0, 2, 5])
def test_without_the_fine_sweep_that_it_knows_it_is_left_out(steps: int) -> None:
    recorder = Recorder()
    corrected(recorder, sweep_of_a_wall(local_steps=steps))
    assert not recorder.seen


def test_a_sweep_much_smaller_than_those_it_knows_is_left_out() -> None:
    recorder = Recorder()
    corrected(recorder, sweep_of_a_wall(width=80))
    assert not recorder.seen


@pytest.mark.parametrize("value", [True, False])
def test_it_can_be_switched_off_while_running(value: bool) -> None:
    config = Config().with_values({"depth.source": "network", "refine.motion.learned": value})
    system = SlamPipeline(config, torch.device("cpu"))
    plan = system.depth_stage._plan(config.refine)
    assert isinstance(plan.correction, MotionCorrection)
    assert (plan.correction.learned is not None) == value


def test_a_sensor_needs_no_weights() -> None:
    system = SlamPipeline(Config(), torch.device("cpu"))
    system.depth_stage.active(system.config.refine)
    assert system.depth_stage.learned is None
