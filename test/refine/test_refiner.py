"""Both strategies: they improve, they refuse, they go back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.refine import descent
from e2e_slam_ros.refine.adaptable import adapted_parameters
from e2e_slam_ros.refine.network_strategy import NetworkStrategy
from e2e_slam_ros.refine.output_strategy import OutputStrategy
from e2e_slam_ros.refine.refiner import GuardedRefiner, build_refiner
from e2e_slam_ros.refine.result import RefineOutcome, Refusal, StopReason
from e2e_slam_ros.refine.views import RefineViews, SparseLabels
from refine.scene import WALL_M, TinyNetwork, keyframe, poor_depth, views

CPU = torch.device("cpu")
DEPTH = DepthConfig(max_m=50.0)


def config(strategy: str = "output", steps: int = 25, which: str = "decoder") -> RefineConfig:
    base = RefineConfig(strategy=strategy, steps=steps)
    network = replace(
        base.network, width=64, height=64, loss_width=64, parameters=which, learning_rate=3e-3
    )
    return replace(base, network=network)


def refine(settings: RefineConfig, seen: RefineViews) -> RefineOutcome:
    refiner = build_refiner(settings, DEPTH, TinyNetwork(), CPU)
    assert refiner is not None
    return refiner.refine(seen, settings)


def error(depth: torch.Tensor) -> float:
    return float((depth / WALL_M - 1).abs().mean())


def test_output_refinement_finds_the_wall() -> None:
    seen = views(1.15)
    outcome = refine(config(), seen)
    assert outcome.refused is None
    assert error(outcome.depth) < 0.3 * error(seen.depth)
    assert outcome.trace.shape == (outcome.steps_done + 1, 6)
    assert outcome.trace[outcome.best].sum() < outcome.trace[0].sum()


@pytest.mark.parametrize("which", ["all", "decoder", "norm_and_last"])
def test_network_refinement_finds_the_wall(which: str) -> None:
    seen = views(2.3 / WALL_M)
    outcome = refine(config("network", which=which), seen)
    assert outcome.refused is None
    assert error(outcome.depth) < 0.5 * error(seen.depth)


def test_works_in_the_mapping_threads_inference_mode() -> None:
    with torch.inference_mode():
        outcome = refine(config(steps=3), views())
    assert outcome.refused is None and outcome.steps_done == 3


def test_labels_and_map_pull_where_the_image_says_nothing() -> None:
    settings = config()
    labels = SparseLabels(torch.full((1, 1, 48, 64), WALL_M), torch.ones((1, 1, 48, 64)))
    only = replace(settings.weights, photometric=0.0, smoothness=0.0, chamfer=0.0)
    seen = replace(views(), labels=labels)
    assert error(refine(replace(settings, weights=only), seen).depth) < 0.05
    u, v = torch.meshgrid(torch.linspace(-1, 1, 60), torch.linspace(-0.8, 0.8, 60), indexing="ij")
    points = torch.stack([u.flatten(), v.flatten(), torch.full((3600,), WALL_M)], 1)
    only = replace(settings.weights, chamfer=10.0, smoothness=0.0)
    seen = replace(views(1.05), map_points=points)
    outcome = refine(replace(settings, weights=only), seen)
    assert outcome.trace[outcome.best, 1] < 0.5 * outcome.trace[0, 1]


def with_target(image: torch.Tensor) -> RefineViews:
    seen = views()
    return replace(seen, target=replace(seen.target, image=image))


def moved(source: Keyframe, T: torch.Tensor) -> Keyframe:
    return replace(source, T_map_camera=T)


def refused_views() -> list[tuple[Refusal, RefineViews]]:
    seen = views()
    nan = torch.full((4, 4), torch.nan, dtype=torch.float64)
    turned = torch.eye(4, dtype=torch.float64)
    turned[:3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    away = torch.eye(4, dtype=torch.float64)
    away[0, 3] = 50.0
    copied = replace(keyframe(0.1), image=seen.target.image)
    shape = (1, 3, 48, 64)
    return [
        (Refusal.NO_SOURCES, replace(seen, sources=())),
        (Refusal.POSE_NOT_FINITE, replace(seen, target=moved(seen.target, nan))),
        (Refusal.POSE_NOT_FINITE, replace(seen, sources=(moved(seen.sources[0], nan),))),
        (Refusal.IMAGE_BLACK, with_target(torch.zeros(shape))),
        (Refusal.IMAGE_SATURATED, with_target(torch.ones(shape))),
        (Refusal.IMAGE_CONSTANT, with_target(torch.full(shape, 0.5))),
        (Refusal.SAME_IMAGE, replace(seen, sources=(copied,))),
        (Refusal.SMALL_PARALLAX, replace(seen, sources=(moved(seen.sources[0], turned),))),
        (Refusal.DEPTH_SATURATED, replace(seen, depth=torch.full((1, 1, 48, 64), 50.0))),
        (Refusal.DEPTH_SATURATED, replace(seen, depth=torch.full((1, 1, 48, 64), torch.nan))),
        (Refusal.FEW_PIXELS, replace(seen, sources=(moved(seen.sources[0], away),))),
    ]


@pytest.mark.parametrize("strategy", ["output", "network"])
@pytest.mark.parametrize(
    ("reason", "seen"), refused_views(), ids=[f"{i}" for i in range(len(refused_views()))]
)
def test_refusals(strategy: str, reason: Refusal, seen: RefineViews) -> None:
    outcome = refine(config(strategy), seen)
    assert outcome.refused is reason and outcome.stopped is StopReason.REFUSED
    assert outcome.depth is seen.depth and not outcome.changed


def test_one_bad_source_is_left_out() -> None:
    seen = views()
    nan = torch.full((4, 4), torch.nan, dtype=torch.float64)
    outcome = refine(config(), replace(seen, sources=(moved(seen.sources[0], nan), *seen.sources)))
    assert outcome.refused is None and error(outcome.depth) < 0.05


def test_goes_back_when_the_loss_rises() -> None:
    settings = config("network", steps=4)
    wild = replace(settings, network=replace(settings.network, learning_rate=0.1))
    network = TinyNetwork(WALL_M)
    strategy = NetworkStrategy(network, "decoder", 0.1)
    before = strategy.state_dict()
    seen = views(1.0)
    outcome = GuardedRefiner(strategy).refine(seen, wild)
    assert outcome.stopped in (StopReason.LOSS_ROSE, StopReason.HELD_BACK_ROSE)
    assert outcome.depth is seen.depth
    assert all(torch.equal(before[name], value) for name, value in strategy.state_dict().items())
    assert outcome.learned is None


def test_goes_back_when_only_the_held_back_pixels_get_worse() -> None:
    value = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.Adam([value], lr=0.1)

    def evaluate() -> Any:
        total = value.square().sum()
        return descent.Evaluation(
            total,
            torch.stack([total.detach()] * 1 + [torch.zeros(())] * 5),
            -total.detach(),
            torch.ones(()),
        )

    course = descent.descend([value], evaluate, optimiser, 5, config().guard)
    assert course.stopped is StopReason.HELD_BACK_ROSE and course.best == 0
    assert value.item() == 1.0


def test_weights_never_stay_non_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    network = TinyNetwork()
    settings = config("network", steps=6)
    strategy = NetworkStrategy(network, "decoder", 3e-3)
    before = strategy.state_dict()

    def poisoned(self: torch.optim.Adam, closure: Any = None) -> None:
        with torch.no_grad():
            network.disparity.weight.fill_(torch.nan)

    monkeypatch.setattr(torch.optim.Adam, "step", poisoned)
    outcome = GuardedRefiner(strategy).refine(views(), settings)
    assert outcome.stopped is StopReason.NOT_FINITE
    assert all(torch.equal(before[name], value) for name, value in strategy.state_dict().items())
    assert torch.isfinite(outcome.depth).all()


def test_out_of_memory_halves_the_size_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    run = OutputStrategy.run

    def short(
        self: OutputStrategy, seen: RefineViews, settings: RefineConfig, factor: float
    ) -> Any:
        widths.append(factor)
        if factor == 1.0:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return run(self, seen, settings, factor)

    monkeypatch.setattr(OutputStrategy, "run", short)
    refiner = build_refiner(config(steps=2), DEPTH, None, CPU)
    assert refiner is not None
    first, second = (refiner.refine(views(), config(steps=2)) for _ in range(2))
    assert widths == [1.0, 0.5, 0.5]
    assert first.refused is None and "1/2" in (first.notice or "")
    assert second.notice is None


def test_out_of_memory_everywhere_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(OutputStrategy, "run", never)
    assert refine(config(), views()).refused is Refusal.OUT_OF_MEMORY


def test_norm_statistics_stay_and_flags_come_back() -> None:
    network = TinyNetwork().train()
    strategy = NetworkStrategy(network, "all", 3e-3)
    before = {name: b.clone() for name, b in network.named_buffers()}
    GuardedRefiner(strategy).refine(views(), config("network", steps=3))
    assert all(torch.equal(before[name], b) for name, b in network.named_buffers())
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert "forward" not in network.encoder.__dict__


def test_which_parameters_are_adapted() -> None:
    network = TinyNetwork()
    every = adapted_parameters(network, "all")
    assert not any(name.startswith("log_uncertainty") for name in every)
    assert not any(n.startswith("encoder") for n in adapted_parameters(network, "decoder"))
    some = set(adapted_parameters(network, "norm_and_last"))
    assert {"encoder.1.weight", "shortcut.1.bias", "disparity.weight"} <= some
    assert "encoder.0.weight" not in some
    with pytest.raises(ConfigError):
        adapted_parameters(network, "some")


def test_adapted_weights_are_carried_saved_and_reset() -> None:
    network = TinyNetwork()
    refiner = build_refiner(config("network"), DEPTH, network, CPU)
    assert refiner is not None
    base = refiner.state_dict()
    outcome = refiner.refine(views(1.15), config("network"))
    assert torch.equal(base["disparity.bias"], refiner.state_dict()["disparity.bias"])
    refiner.keep(outcome)
    adapted = refiner.state_dict()
    assert not torch.equal(base["disparity.bias"], adapted["disparity.bias"])
    refiner.reset()
    assert torch.equal(network.disparity.bias, base["disparity.bias"])  # type: ignore[arg-type]
    refiner.load_state_dict(adapted)
    assert torch.equal(network.disparity.bias, adapted["disparity.bias"])  # type: ignore[arg-type]
    with pytest.raises(DepthError):
        refiner.load_state_dict({})
    with pytest.raises(DepthError):
        refiner.load_state_dict({n: torch.full_like(v, torch.nan) for n, v in adapted.items()})


def test_reset_per_keyframe_leaves_the_network_as_it_was() -> None:
    settings = config("network")
    settings = replace(settings, network=replace(settings.network, reset_per_keyframe=True))
    network = TinyNetwork()
    before = network.disparity.bias.clone()  # type: ignore[union-attr]
    refiner = build_refiner(settings, DEPTH, network, CPU)
    assert refiner is not None
    outcome = refiner.refine(views(1.15), settings)
    refiner.keep(outcome)
    assert outcome.changed and torch.equal(network.disparity.bias, before)  # type: ignore[arg-type]


def test_network_strategy_needs_a_network() -> None:
    with pytest.raises(ConfigError, match="network"):
        build_refiner(config("network"), DEPTH, None, CPU)
    with pytest.raises(ConfigError, match="size"):
        refine(RefineConfig(strategy="network"), views())
    assert build_refiner(RefineConfig(), DEPTH, None, CPU) is None


def test_poor_depth_of_a_real_keyframe_gets_better(shared_data: Path) -> None:
    from e2e_slam_ros.config import CameraConfig
    from e2e_slam_ros.data.keyframe import KeyframeDecision
    from e2e_slam_ros.data.open import open_reader
    from e2e_slam_ros.data.slice import FrameSlice
    from e2e_slam_ros.slam.preprocess import Preprocessor

    prepare, frames = Preprocessor(CameraConfig(), CPU), []
    for frame in FrameSlice(open_reader(shared_data / "hololens" / "rooms_000"), 11, 16):
        small = prepare(frame)
        assert frame.T_map_camera is not None
        frames.append(
            Keyframe(
                frame.index,
                frame.index,
                frame.stamp_ns,
                small.image,
                small.camera,
                torch.as_tensor(frame.T_map_camera),
                small.depth,
                KeyframeDecision(True, "test"),
            )
        )
    target = frames[-1]
    truth = target.sensor_depth
    assert truth is not None
    start = poor_depth(truth, 15)
    settings = config()
    settings = replace(settings, weights=replace(settings.weights, smoothness=0.3))
    outcome = refine(settings, RefineViews(target, tuple(frames[3::-1]), start))
    known = truth > 0

    def abs_rel(depth: torch.Tensor) -> float:
        return float(((depth - truth).abs() / truth)[known].mean())

    assert abs_rel(outcome.depth) < 0.9 * abs_rel(start)


def test_where_poses_are_not_believed_nothing_is_refined() -> None:
    assert refine(config(), views(poses_believed=False)).refused is Refusal.SMALL_PARALLAX
