"""Networks of other authors in the depth stage: metres, learning, and what they cannot do."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from depth.foreign_models import save_depth_anything
from e2e_slam_ros.config import Config, DepthConfig, RefineConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.evaluation.weights import weights_of
from e2e_slam_ros.multiview.dro.source import DroDepth
from e2e_slam_ros.refine.adaptable import adapted_parameters
from e2e_slam_ros.refine.network_strategy import NetworkStrategy
from e2e_slam_ros.refine.refiner import network_notices, sized_as_predicted
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_history import ScaleHistory
from e2e_slam_ros.slam.build_adaptation import build_adaptation
from e2e_slam_ros.slam.keyframe_depth import keyframe_depth, no_depth
from e2e_slam_ros.slam.pipeline import SlamPipeline
from refine.rooms import SaidDepth, StagedWalk, network_config, wall_frame
from refine.scene import keyframe, views

CPU = torch.device("cpu")


class Patterned(DepthNetwork):
    """A foreign network that says about 2 m, with the image's pattern, and can be told to fail."""

    foreign = True
    metric = True

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(1.0))

    def predict(self, image: torch.Tensor) -> Prediction:
        return Prediction(self.factor * (0.49 + 0.02 * image.mean(1, keepdim=True)), None)


@pytest.fixture
def patterned(monkeypatch: pytest.MonkeyPatch) -> Patterned:
    network = Patterned()
    loaders = {"onnx": lambda settings, device: network}
    monkeypatch.setattr("e2e_slam_ros.depth.network.FOREIGN", loaders)
    return network


def patterned_config(**values: object) -> Config:
    return network_config(**{"depth.network.architecture": "onnx", **values})


def slope() -> torch.Tensor:
    """Depth (1, 1, 48, 64) from 1 to 4 m."""
    return torch.linspace(1.0, 4.0, 64).expand(1, 1, 48, 64).contiguous()


def relative(depth: torch.Tensor) -> SaidDepth:
    """A source of relative depth: inverse depth with a factor and a shift."""
    source = SaidDepth((5.0 * depth.reciprocal() + 2.0).reciprocal(), unit=DepthUnit.UNKNOWN)
    source.traits = replace(source.traits, shifted=True)
    return source


def test_relative_depth_becomes_metric_by_a_factor_and_a_shift() -> None:
    config = network_config(**{"refine.scale.source": "depth_topic"})
    seen: Keyframe = replace(keyframe(), sensor_depth=slope())
    metric = StagedWalk(config, relative(slope())).step(seen)
    assert metric.scale is not None and metric.scale.inverse
    torch.testing.assert_close(metric.unrefined.depth, slope(), rtol=1e-3, atol=0)
    # Without the trait a factor alone is fitted, and the slope comes out wrong.
    alone = SaidDepth(relative(slope()).depth, unit=DepthUnit.UNKNOWN)
    wrong = StagedWalk(config, alone).step(seen)
    assert float((wrong.unrefined.depth / slope() - 1).abs().max()) > 0.2


@pytest.mark.parametrize("source", ["fixed", "learned", "groundtruth_median"])
def test_relative_depth_needs_a_scale_that_fits_a_shift(source: str) -> None:
    with pytest.raises(ConfigError, match=f"got '{source}' .*expected motion or depth_topic; "):
        StagedWalk(network_config(**{"refine.scale.source": source}), relative(slope()))


def test_the_usual_scale_is_not_mixed_of_two_kinds() -> None:
    history = ScaleHistory().with_found(Scale(2.0)).with_found(Scale(3.0, 0.1, inverse=True))
    assert history.usual == Scale(3.0, 0.1, inverse=True)
    mixed = ScaleHistory().with_found(Scale(2.0), 0.3).with_found(Scale(9.0, 0.1, inverse=True))
    assert mixed.usual is not None and mixed.usual.factor == 9.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_network_that_fails_leaves_the_keyframe_out_and_the_map_as_it_was(
    patterned: Patterned, value: float
) -> None:
    system = SlamPipeline(patterned_config(), CPU)
    for index in range(5):
        frame = wall_frame(index, 0.2 * index)
        system.map_keyframe(frame, system.choose_keyframe(frame, True))
    before, count = system.surfels.snapshot().positions.copy(), len(system.keyframes)
    assert len(before) > 0
    patterned.factor.data.fill_(value)
    frame = wall_frame(5, 1.0)
    decision = system.choose_keyframe(frame, True)
    with pytest.raises(DepthError, match="keyframe 5: got .*the keyframe is left out"):
        system.map_keyframe(frame, decision)
    assert np.array_equal(system.surfels.snapshot().positions, before)
    assert len(system.keyframes) == count
    patterned.factor.data.fill_(1.0)
    frame = wall_frame(6, 1.01)
    decision = system.choose_keyframe(frame)
    assert decision.is_keyframe, "the next frame takes its place"
    system.map_keyframe(frame, decision)
    assert len(system.keyframes) == count + 1


def test_what_a_network_has_to_say_is_told_once(patterned: Patterned) -> None:
    patterned.notices = ("its licence is free",)
    system = SlamPipeline(patterned_config(), CPU)
    told = []
    for index in range(2):
        frame = wall_frame(index, 0.3 * index)
        told.append(system.map_keyframe(frame, system.choose_keyframe(frame, True)).notices)
    assert "its licence is free" in told[0] and "its licence is free" not in told[1]


def test_a_network_without_gradients_is_not_adapted(patterned: Patterned) -> None:
    patterned.adaptable = False
    assert network_notices(RefineConfig(strategy="none"), patterned) == ()
    (notice,) = network_notices(RefineConfig(strategy="auto"), patterned)
    assert "cannot learn the room" in notice
    with pytest.raises(ConfigError, match="no gradients flow through .ONNX., expected none, outp"):
        SlamPipeline(patterned_config(**{"refine.strategy": "network"}), CPU)
    config = patterned_config(**{"refine.strategy": "auto"})
    source = NetworkDepth(config.depth, CPU)
    assert build_adaptation(config, source, lambda: False) is None
    patterned.adaptable = True
    adaptation = build_adaptation(config, source, lambda: False)
    assert adaptation is not None
    adaptation.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_depth_anything(folder, "metric")
    return folder


def loaded(folder: Path) -> NetworkDepth:
    values = {"depth.network.architecture": "transformers", "depth.source": "network"}
    config = Config().with_values({**values, "depth.network.checkpoint": str(folder)})
    return NetworkDepth(config.depth, CPU)


def test_the_decoder_is_neck_and_head(folder: Path) -> None:
    network = loaded(folder).network
    decoder, every = (adapted_parameters(network, which) for which in ("decoder", "all"))
    assert all(name.startswith(("model.neck.", "model.head.")) for name in decoder)
    assert len(decoder) < len(every) == len(list(network.parameters()))
    few = set(adapted_parameters(network, "norm_and_last"))
    assert {"model.head.conv3.weight", "model.head.conv3.bias"} < few
    assert any("norm" in name for name in few) and len(few) < len(every)


@pytest.mark.parametrize("which", ["decoder", "all", "norm_and_last"])
def test_the_network_strategy_adapts_it(folder: Path, which: str) -> None:
    network = loaded(folder).network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    strategy = NetworkStrategy(network, which, learning_rate=3e-3)
    config = RefineConfig(strategy="network", steps=8)
    config = replace(config, network=replace(config.network, parameters=which, learning_rate=3e-3))
    seen = views()
    with torch.no_grad():
        predicted = 1.0 / network(seen.target.image)
    attempt = strategy.run(
        replace(seen, depth=predicted), sized_as_predicted(config, DepthConfig()), 1.0
    )
    totals = attempt.course.trace.sum(1)
    assert attempt.course.best > 0 and float(totals[attempt.course.best]) < float(totals[0])
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert attempt.learned is not None
    strategy.keep(attempt.learned)
    changed = {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert changed and changed <= set(adapted_parameters(network, which))


def test_it_learns_the_room_in_the_background(folder: Path) -> None:
    values: dict[str, object] = {"depth.network.architecture": "transformers"}
    values |= {"depth.source": "network"}
    values |= {"depth.network.checkpoint": str(folder), "runtime.offline": True}
    quick = {"refine.background.learning_rate": 3e-3}
    config = Config().with_values(values | quick)
    adaptation = build_adaptation(config, NetworkDepth(config.depth, CPU), lambda: False)
    assert adaptation is not None
    network = adaptation._network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    truth = torch.full((1, 1, 48, 64), 1.6)
    for index in range(14):
        estimate = DepthEstimate(truth, torch.ones_like(truth), "network", "motion")
        seen = replace(keyframe(0.1 * index), index=index)
        adaptation.see(seen)
        adaptation.offer(seen, estimate)
    learned = adaptation.take_over()
    assert learned is not None and learned.blend > 0.0
    assert any(not torch.equal(p, before[n]) for n, p in network.named_parameters())
    adaptation.reset()
    assert all(torch.equal(p, before[n]) for n, p in network.named_parameters())
    adaptation.close()


def test_traits_are_not_shifted_unless_said() -> None:
    assert not DepthTraits("network", DepthUnit.UNKNOWN).shifted


def test_relative_depth_gives_tracking_no_scale(patterned: Patterned) -> None:
    assert keyframe_depth(patterned_config(), CPU) is not no_depth
    patterned.metric, patterned.shifted = False, True
    assert keyframe_depth(patterned_config(), CPU) is no_depth
    with pytest.raises(ConfigError, match="relative depth with pose.source 'visual', .*metric"):
        keyframe_depth(patterned_config(**{"pose.source": "visual"}), CPU)
    with pytest.raises(ConfigError, match="relative depth with depth.source: dro, expected"):
        DroDepth(patterned_config(**{"depth.source": "dro"}).depth, CPU)


@pytest.mark.parametrize("value", [float("nan"), 0.0])
def test_tracking_goes_on_without_the_depth_of_a_network_that_fails(
    patterned: Patterned, value: float
) -> None:
    depth_of = keyframe_depth(patterned_config(), CPU)
    assert depth_of is not None and depth_of(wall_frame(0, 0.0)) is not None
    patterned.factor.data.fill_(value)
    assert depth_of(wall_frame(0, 0.0)) is None


def test_the_weights_of_a_folder_are_named_by_their_hash(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    values = {"depth.source": "network", "depth.network.architecture": "transformers"}
    config = Config().with_values({**values, "depth.network.checkpoint": str(tmp_path)})
    weights = weights_of(config)
    assert weights is not None and weights.sha256 == hashlib.sha256(b"weights").hexdigest()
