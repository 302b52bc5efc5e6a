"""What a batch's loss consists of, and where its gradients go."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.training.data.batch import PairBatch
from e2e_slam_ros.training.objectives.config import LossWeights, ObjectiveConfig
from e2e_slam_ros.training.objectives.terms import LossTerms
from e2e_slam_ros.training.precision import Precision
from e2e_slam_ros.training.sc_sfm.model import SCSfMModel
from e2e_slam_ros.training.sc_sfm.pose_net import PoseNet
from e2e_slam_ros.training.sc_sfm.task import SCSfMTask
from training.conftest import wall_batch

OFF = LossWeights(0.0, 0.0, 0.0, 0.0)
PAIRS = dataclasses.replace(OFF, photometric=1.0, consistency=0.5, smoothness=0.1)
PLAIN = Precision("cpu", None)


class Knows(DepthNetwork):
    """A network of one parameter: the factor on the true depth of each wall."""

    metric = True

    def __init__(self, batch: PairBatch, factor: float) -> None:
        super().__init__()
        self.log_factor = torch.nn.Parameter(torch.tensor(math.log(factor)))
        self._depth = batch.depth

    def predict(self, image: torch.Tensor) -> Prediction:
        return Prediction(1.0 / (self._depth * self.log_factor.exp()), None)


def parts(terms: LossTerms) -> dict[str, float]:
    assert terms.parts.keys() == terms.counts.keys() <= set(SCSfMTask.terms)
    return {name: float(value) for name, value in terms.parts.items()}


def model_of(network: DepthNetwork, pose_net: PoseNet | None = None) -> SCSfMModel:
    return SCSfMModel(network, pose_net, ObjectiveConfig(stationary_mask=False), PLAIN)


def test_known_poses_pull_depth_to_metres() -> None:
    batch = wall_batch(4, 0)
    unlabelled = dataclasses.replace(batch, has_depth=torch.zeros(4, dtype=torch.bool))
    losses = {}
    for factor in (0.8, 1.0, 1.25):
        network = Knows(batch, factor)
        terms = model_of(network)(unlabelled, PAIRS)
        losses[factor] = parts(terms)["photometric"]
        terms.total.backward()
        slope = float(network.log_factor.grad)  # type: ignore[arg-type]
        assert factor == 1.0 or (slope > 0) == (factor > 1.0)
    assert losses[1.0] < 0.01 < 0.5 * min(losses[0.8], losses[1.25])


def test_exact_depth_is_consistent_and_labels_agree() -> None:
    batch = wall_batch(2, 1)
    everything = dataclasses.replace(PAIRS, scale_invariant=1.0, gradient=1.0, metric=1.0)
    terms = model_of(Knows(batch, 1.0))(batch, everything)
    found = parts(terms)
    for name in ("consistency", "gradient", "metric", "smoothness"):
        assert found[name] == pytest.approx(0.0, abs=1e-5)
    assert found["scale_invariant"] == pytest.approx(1e-3)  # the least it says
    assert found["in_view"] > 0.7
    assert terms.counts["photometric"] == terms.counts["metric"] == 2


def test_padding_is_not_compared() -> None:
    batch = wall_batch(2, 1)
    photometric = dataclasses.replace(OFF, photometric=1.0)
    seen = batch.seen.clone()
    seen[..., :16, :] = False
    # Rows that no camera saw hold something else in either image: a mirror image, say.
    image, source = batch.image.clone(), batch.source.clone()
    image[..., :16, :], source[..., :16, :] = 0.0, 1.0
    padded = dataclasses.replace(
        batch, image=image, source=source, seen=seen, source_seen=seen.clone()
    )
    model = model_of(Knows(batch, 1.0))
    found = parts(model(padded, photometric))
    assert found["photometric"] < 0.01 and 0.4 < found["in_view"] < 0.76
    naive = dataclasses.replace(padded, seen=batch.seen, source_seen=batch.source_seen)
    assert parts(model(naive, photometric))["photometric"] > 0.1


def test_each_sample_learns_from_what_it_has() -> None:
    batch = wall_batch(3, 2)
    mixed = dataclasses.replace(
        batch,
        has_depth=torch.tensor([True, False, False]),
        has_source=torch.tensor([False, True, True]),
    )
    terms = model_of(LiteDepthNet())(mixed, dataclasses.replace(PAIRS, metric=1.0))
    assert terms.counts["metric"] == 1 and terms.counts["photometric"] == 2
    terms = model_of(LiteDepthNet())(mixed, OFF)
    assert float(terms.total.detach()) == 0.0 and not terms.counts
    terms.total.backward()  # a graph that another process may wait for


def test_unknown_motion_is_predicted_and_learnt() -> None:
    batch = wall_batch(2, 3)
    blind = dataclasses.replace(
        batch, has_pose=torch.tensor([True, False]), has_depth=torch.zeros(2, dtype=torch.bool)
    )
    pose_net = PoseNet()
    model_of(LiteDepthNet(), pose_net)(blind, PAIRS).total.backward()
    assert any(p.grad is not None and p.grad.any() for p in pose_net.parameters())
    posed = PoseNet()
    model_of(LiteDepthNet(), posed)(batch, PAIRS).total.backward()
    assert all(p.grad is None for p in posed.parameters())


@pytest.mark.parametrize("detached", [True, False])
def test_the_uncertainty_loss_teaches_its_head_and_more_only_when_asked(detached: bool) -> None:
    network = LiteDepthNet()
    config = ObjectiveConfig(uncertainty_detached=detached)
    alone = dataclasses.replace(OFF, uncertainty=1.0)
    SCSfMModel(network, None, config, PLAIN)(wall_batch(2, 4), alone).total.backward()
    learns = {
        name for name, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())
    }
    assert {"log_uncertainty.weight", "log_uncertainty.bias"} <= learns
    assert (len(learns) == 2) == detached
    assert not any(name.startswith("disparity") for name in learns)
