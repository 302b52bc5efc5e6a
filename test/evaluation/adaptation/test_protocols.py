"""The pair and online protocols along a wall."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import Config, RefineConfig
from e2e_slam_ros.config.errors import ConfigError, DataError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationResult, AdaptationSetup
from e2e_slam_ros.evaluation.adaptation.online_protocol import OnlineProtocol
from e2e_slam_ros.evaluation.adaptation.pair_protocol import PairProtocol
from e2e_slam_ros.evaluation.adaptation.score import KeyframeScore
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import Revision
from textured_wall import textured_frames

CPU = torch.device("cpu")
MakeReader = Callable[[list[Frame]], FrameReader]
POOR = {
    "refine.strategy": "output",
    "depth.source": "motion_stereo",
    "refine.scale.source": "fixed",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    return save_weights(build_network("efficientnet_lite2").eval(), path, {}, half=False)


@pytest.fixture
def network(weights: Path) -> dict[str, object]:
    """Adapts a small network with random weights; the truth gives the scale."""
    return {
        "depth.source": "network",
        "depth.network.checkpoint": str(weights),
        "depth.network.width": 64,
        "depth.network.height": 64,
        "refine.strategy": "network",
        "refine.network.width": 64,
        "refine.network.height": 64,
        "refine.network.learning_rate": 1e-3,
        "refine.scale.source": "groundtruth_median",
        "refine.steps": 2,
    }


@dataclasses.dataclass
class Seen:
    """What the depth stage was given, and how often the pipeline looked back."""

    keyframes: list[Keyframe] = dataclasses.field(default_factory=list)
    maps: list[torch.Tensor | None] = dataclasses.field(default_factory=list)
    looked_back: list[bool] = dataclasses.field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    record = Seen()
    call, look_back = DepthStage.__call__, SlamPipeline.look_back

    def noted(
        self: DepthStage,
        keyframe: Keyframe,
        raw: RawDepth,
        views: KeyframeViews,
        config: RefineConfig,
        map_points: torch.Tensor | None = None,
    ) -> MetricDepth:
        record.keyframes.append(keyframe)
        record.maps.append(map_points)
        return call(self, keyframe, raw, views, config, map_points)

    def noted_back(self: SlamPipeline) -> Revision | None:
        again = look_back(self)
        record.looked_back.append(again is not None)
        return again

    monkeypatch.setattr(DepthStage, "__call__", noted)
    monkeypatch.setattr(SlamPipeline, "look_back", noted_back)
    return record


def settings(values: dict[str, object], **more: object) -> Config:
    """Return a configuration without looking back, as the protocols begin with."""
    named = {name.replace("__", "."): value for name, value in more.items()}
    return Config().with_values({"refine.wait_keyframes": 0} | values | named)


def pair(
    reader: FrameReader, config: Config, positions: list[int], poor: bool = False
) -> tuple[AdaptationResult, AdaptationSetup]:
    setup = AdaptationSetup(config, CPU, poor)
    return PairProtocol(setup, reader).run(positions), setup


def online(
    reader: FrameReader, config: Config, every: int | None = 1, poor: bool = False
) -> tuple[AdaptationResult, AdaptationSetup]:
    setup = AdaptationSetup(config, CPU, poor)
    return OnlineProtocol(setup, reader, every).run(range(len(reader))), setup


def errors(scores: list[KeyframeScore], stage: str) -> list[float]:
    return [getattr(score, stage).every.raw.abs_rel for score in scores]


def test_a_poor_start_gets_better(list_reader: MakeReader) -> None:
    config = settings(POOR, refine__steps=25)
    outcome, setup = pair(list_reader(textured_frames(6)), config, [0, 3, 5], poor=True)
    before, after = (sum(errors(outcome.scores, name)) for name in ("before", "after"))
    assert after < 0.6 * before
    assert [score.frame for score in outcome.scores] == [3, 5]
    assert setup.left_out.counts == {"no neighbour before it": 1}
    assert all(score.steps > 0 and score.refused is None for score in outcome.scores)
    assert all(score.geometric is not None for score in outcome.scores)
    assert [score.frame for _, score in outcome.samples] == [3, 5]


@pytest.mark.parametrize("scale", ["motion", "fixed", "groundtruth_median", "depth_topic"])
def test_the_refinement_does_not_see_the_truth(
    list_reader: MakeReader, seen: Seen, scale: str
) -> None:
    config = settings(POOR | {"refine.scale.source": scale, "refine.steps": 1})
    pair(list_reader(textured_frames(4)), config, [3], poor=True)
    (keyframe,) = seen.keyframes
    shown = scale in ("depth_topic", "groundtruth_median")
    assert (keyframe.sensor_depth is not None) == shown
    if scale == "depth_topic":
        assert keyframe.sensor_depth is not None
        assert 0 < int((keyframe.sensor_depth > 0).sum()) < 0.03 * keyframe.sensor_depth.numel()


def test_what_a_depth_topic_showed_is_not_scored() -> None:
    config = settings(POOR | {"refine.scale.source": "depth_topic"})
    setup = AdaptationSetup(config, CPU, degraded=True)
    (frame,) = textured_frames(1)
    refined, _ = setup.map_keyframe(frame, setup.pipeline.choose_keyframe(frame))
    shown, truth = refined.keyframe.sensor_depth, refined.truth
    assert shown is not None and truth is not None and bool((shown > 0).any())
    assert not bool(((shown > 0) & (truth > 0)).any())


def test_every_pair_starts_from_the_same_weights(
    list_reader: MakeReader, network: dict[str, object]
) -> None:
    reader, config = list_reader(textured_frames(6)), settings(network)
    alone, _ = pair(reader, config, [5])
    after_others, _ = pair(reader, config, [2, 3, 4, 5])
    assert alone.scores[0].after == after_others.scores[-1].after
    assert errors(alone.scores, "after") != errors(alone.scores, "aligned")


def test_a_pair_that_may_wait_uses_later_frames(list_reader: MakeReader, seen: Seen) -> None:
    config = settings(POOR, refine__steps=3, refine__wait_keyframes=2, map__revisable_keyframes=5)
    outcome, _ = pair(list_reader(textured_frames(6)), config, [3, 4], poor=True)
    # Frame 4 has a single later one: it stays as it was.
    assert seen.looked_back.count(True) == 1 and len(outcome.scores) == 2


def test_a_sequence_without_neighbours_is_refused(list_reader: MakeReader) -> None:
    config = settings(POOR)
    with pytest.raises(DataError, match=r"none of 1 .*no neighbour before it \(1\)"):
        pair(list_reader(textured_frames(1)), config, [0], poor=True)


def test_a_camera_that_only_turns_is_scored_as_it_was(list_reader: MakeReader) -> None:
    frames = textured_frames(4, step_m=0.001)
    outcome, _ = pair(list_reader(frames), settings(POOR), [2, 3], poor=True)
    assert {score.refused for score in outcome.scores} == {"parallax too small"}
    assert errors(outcome.scores, "after") == errors(outcome.scores, "aligned")


def test_what_is_learned_online_is_carried_on(
    list_reader: MakeReader, network: dict[str, object], seen: Seen
) -> None:
    outcome, setup = online(list_reader(textured_frames(5)), settings(network))
    adapted, original = setup.pipeline.source, setup.original
    assert isinstance(adapted, NetworkDepth) and isinstance(original, NetworkDepth)
    changed = [
        not torch.equal(one, other)
        for one, other in zip(
            adapted.network.parameters(), original.network.parameters(), strict=True
        )
    ]
    assert any(changed)
    # The map, from the second keyframe on.
    assert seen.maps[0] is None
    assert all(points is not None and len(points) > 1000 for points in seen.maps[1:])
    assert outcome.scores[0].refused == "no sources"
    assert outcome.forgetting is not None and outcome.forgetting.keyframes == 5
    assert outcome.forgetting.original != outcome.forgetting.adapted


def test_before_is_what_the_original_weights_say(
    list_reader: MakeReader, network: dict[str, object]
) -> None:
    reader = list_reader(textured_frames(4))
    learned, _ = online(reader, settings(network))
    idle, _ = online(reader, settings(network, refine__steps=0))
    assert errors(learned.scores, "before") == errors(idle.scores, "before")
    assert errors(learned.scores, "aligned")[-1] != errors(idle.scores, "aligned")[-1]
    assert {score.refused for score in idle.scores} == {"no steps"}


def test_the_keyframe_rule_or_every_so_manieth(list_reader: MakeReader) -> None:
    reader = list_reader(textured_frames(10, step_m=0.05))
    config = settings(POOR, refine__steps=1)
    ruled, _ = online(reader, config, None, poor=True)
    assert [score.frame for score in ruled.scores] == [0, 3, 6, 9]
    second, _ = online(reader, config, 2, poor=True)
    assert [score.frame for score in second.scores] == [0, 2, 4, 6, 8]
    assert ruled.forgetting is None
    assert [score.frame for _, score in second.samples] == [0, 2, 4, 6, 8]


def test_waiting_keyframes_are_scored_with_their_better_depth(
    list_reader: MakeReader, seen: Seen
) -> None:
    reader = list_reader(textured_frames(8))
    more = {"refine__wait_keyframes": 2, "map__revisable_keyframes": 5}
    waited, _ = online(reader, settings(POOR, refine__steps=5, **more), poor=True)
    at_once, _ = online(reader, settings(POOR, refine__steps=5), poor=True)
    assert [score.frame for score in waited.scores] == list(range(8))
    assert any(seen.looked_back)
    # The last two have no later keyframes to wait for; the first had no earlier one.
    assert waited.scores[0].refused is None and at_once.scores[0].refused == "no sources"
    assert errors(waited.scores, "after")[:6] != errors(at_once.scores, "after")[:6]


def test_frames_without_pose_or_depth_are_left_out_online(list_reader: MakeReader) -> None:
    frames = textured_frames(6)
    frames[2] = dataclasses.replace(frames[2], T_map_camera=None)
    frames[4] = dataclasses.replace(frames[4], depth=None)
    outcome, setup = online(list_reader(frames), settings(POOR, refine__steps=1), poor=True)
    assert [score.frame for score in outcome.scores] == [0, 1, 3, 5]
    assert setup.left_out.counts == {"no pose": 1, "not mapped": 1}


def test_an_output_strategy_needs_no_network_and_a_network_strategy_does(
    list_reader: MakeReader,
) -> None:
    with pytest.raises(ConfigError, match="refine.strategy"):
        AdaptationSetup(settings(POOR | {"refine.strategy": "network"}), CPU, degraded=True)
