"""The depth network learns the room in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.background import BackgroundConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision
from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.background.adaptation import BackgroundAdaptation
from e2e_slam_ros.refine.background.labels import RoomLabels, room_label
from e2e_slam_ros.refine.background.learner import RoomLearner
from e2e_slam_ros.refine.background.unseen import Foreseen, UnseenErrors

CAMERA = PinholeCamera(width=64, height=64, fx=60.0, fy=60.0, cx=31.5, cy=31.5)
SIZE = (64, 64)
QUICK = BackgroundConfig(learning_rate=1e-2)
# Keyframes until a keyframe is looked back at.
LATER = 3


# The wall is seen in the left part of the image, and a floor at 2 m in the larger right part: the
# scale of a keyframe is that of the floor.
EDGE = 28


class OneNumber(DepthNetwork):
    """Says 2 m everywhere; the left part can be learned."""

    metric = True

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.5))

    def predict(self, image: torch.Tensor) -> Prediction:
        return Prediction(beside_floor(self.level.clamp_min(1e-3).expand_as(image[:, :1])), None)


def beside_floor(disparity: torch.Tensor) -> torch.Tensor:
    """Return the disparity with that of the floor in the right part."""
    left = torch.arange(disparity.shape[-1]) < EDGE
    return torch.where(left, disparity, 0.5)


class BrightNumber(OneNumber):
    """What it learns changes bright images more."""

    def predict(self, image: torch.Tensor) -> Prediction:
        brightness = image.mean(1, keepdim=True)
        level = 0.5 + 2.0 * (self.level - 0.5) * (4.0 * brightness - 1.5)
        return Prediction(beside_floor(level.clamp_min(1e-3)), None)


def keyframe(index: int) -> Keyframe:
    image, pose = torch.full((1, 3, 64, 64), 0.5), torch.eye(4, dtype=torch.float64)
    return Keyframe(index, index, index, image, CAMERA, pose, None, KeyframeDecision(True, "x"))


def wall(depth_m: float = 1.6, confirmed: float = 1.0) -> DepthEstimate:
    depth = torch.full((1, 1, 64, 64), 2.0)
    depth[..., :EDGE] = depth_m
    confidence = torch.zeros_like(depth)
    confidence[..., : round(64 * confirmed)] = 0.8
    return DepthEstimate(depth, confidence, "network", "motion")


def in_lockstep(network: DepthNetwork, config: BackgroundConfig = QUICK) -> BackgroundAdaptation:
    return BackgroundAdaptation(network, config, SIZE, offline=True, is_pressed=lambda: False)


def walk(
    adaptation: BackgroundAdaptation, depths: Sequence[float], start: int = 0, taken: bool = True
) -> list[float]:
    """See keyframes of those depths, each looked back at three later; return the blends in use."""
    blends = []
    for index, _ in enumerate(depths, start):
        if taken:
            adaptation.take_over()
        blends.append(adaptation.blend)
        adaptation.see(keyframe(index))
        if index - start >= LATER:
            earlier = index - LATER
            adaptation.offer(keyframe(earlier), wall(depths[earlier - start]))
    if taken:
        adaptation.take_over()
    return blends


def test_a_room_is_learned_and_taken_over_between_keyframes() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    for index in range(20):
        adaptation.see(keyframe(index))
        adaptation.offer(keyframe(index), wall())
        assert network.level.item() == 0.5, "the network in use changes by take_over alone"
    learned = adaptation.take_over()
    assert learned is not None and learned.blend == adaptation.blend == 1.0
    assert 1.0 / network.level.item() < 1.7
    assert learned.ratio == 1.0, "most of the image shows the floor"
    assert adaptation.take_over() is None and adaptation.taken_over == 1


def test_the_ratio_is_that_of_the_median_depth() -> None:
    class Everywhere(OneNumber):
        def predict(self, image: torch.Tensor) -> Prediction:
            return Prediction(self.level.expand_as(image[:, :1]), None)

    label = room_label(keyframe(0), wall(), SIZE)
    learner = RoomLearner(Everywhere(), QUICK)
    assert learner.ratio(label, {"level": torch.tensor(0.625)}, {}) == pytest.approx(0.8)


def test_a_scale_that_is_usual_is_not_learned() -> None:
    """All depths are 1.25 times as large as the network's; a scale says so already."""
    adaptation = in_lockstep(OneNumber())
    for index in range(24):
        adaptation.see(keyframe(index))
        if index >= LATER:
            estimate = replace(wall(2.0), depth=torch.full((1, 1, 64, 64), 2.5))
            adaptation.offer(keyframe(index - LATER), estimate, usual_scale=1.25)
    assert adaptation.take_over() is None


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_shapes_are_judged_at_any_scale(scale: float) -> None:
    """Weights that learned the shape are used, wherever the scale of the labels lies."""
    unseen = UnseenErrors(min_gain=0.05)
    shape = torch.linspace(1.0, 2.0, 64).expand(1, 1, 64, 64)
    label = replace(room_label(keyframe(0), wall(), SIZE), depth=scale * shape)
    label = replace(label, weight=torch.ones_like(shape))
    for index in range(4):
        unseen.foresee(index, Foreseen(shape.square(), shape))
        unseen.judge(index, label)
    assert unseen.blend == 1.0


def test_what_is_learned_is_judged_by_keyframes_that_came_before_they_were_learned() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    for index in range(20):
        adaptation.offer(keyframe(index), wall())
    assert adaptation.take_over() is None, "nothing was predicted before it was learned"


def test_where_the_unseen_gets_worse_the_first_weights_come_back() -> None:
    """The labels say 1.6 m again and again; what is seen for the first time is at 2.4 m."""
    network = OneNumber()
    adaptation = in_lockstep(network)
    assert walk(adaptation, [1.6] * 24)[-1] >= 0.75
    assert network.level.item() > 0.58
    blends = walk(adaptation, [2.4] * 8, start=24)
    # The first judge comes with the keyframe that is three later.
    assert blends[-1] == 0.0 and blends.index(0.0) <= LATER + 3
    assert network.level.item() == 0.5, "bit for bit"


def test_what_waits_to_be_taken_over_is_given_up_as_well() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    walk(adaptation, [1.6] * 24, taken=False)
    walk(adaptation, [2.4] * 8, start=24, taken=False)
    adaptation.take_over()
    assert network.level.item() == 0.5 and adaptation.blend == 0.0


@pytest.mark.parametrize("steps", [0, 1])
def test_a_copy_that_breaks_is_not_taken_over(steps: int) -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    walk(adaptation, [1.6] * 24)
    assert adaptation.blend > 0.0 and adaptation._learner is not None
    with torch.no_grad():
        for weight in adaptation._learner._parameters.values():
            weight.fill_(float("nan"))
    adaptation.see(keyframe(24))
    for index in range(24 - LATER, 24 - LATER + steps):
        adaptation.offer(keyframe(index), wall())
    adaptation.take_over()
    assert bool(torch.isfinite(network.level))
    walk(adaptation, [1.6] * 12, start=25)
    assert network.level.item() >= 0.5


def test_learning_begins_again_and_is_used_once_it_holds() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    walk(adaptation, [1.6] * 24)
    walk(adaptation, [2.4] * 8, start=24)
    assert network.level.item() == 0.5
    blends = walk(adaptation, [2.4] * 40, start=40)
    assert max(blends) > 0.0 and 1.0 / network.level.item() > 2.1


def test_a_keyframe_unlike_all_before_is_not_trusted_to_what_was_learned() -> None:
    network = BrightNumber()
    adaptation = in_lockstep(network)
    walk(adaptation, [1.6] * 24)
    before = adaptation.blend
    assert before >= 0.75
    bright = replace(keyframe(24), image=torch.full((1, 3, 64, 64), 1.0))
    adaptation.see(bright)
    adaptation.take_over()
    assert adaptation.blend <= 0.5 * before, "before its depth is known"


def test_what_is_known_already_is_not_learned() -> None:
    adaptation = in_lockstep(OneNumber())
    assert not any(walk(adaptation, [2.0] * 24))
    assert adaptation.taken_over == 0 and adaptation.state_dict() == {}


def test_a_small_gain_is_not_worth_a_change() -> None:
    adaptation = in_lockstep(OneNumber(), replace(QUICK, min_gain=0.2))
    # Wherever the wall is expected, it is elsewhere.
    assert not any(walk(adaptation, [1.7, 2.3] * 15))


def test_keyframes_that_nobody_confirms_teach_nothing() -> None:
    adaptation = in_lockstep(OneNumber())
    for index in range(20):
        adaptation.see(keyframe(index))
        adaptation.offer(keyframe(index), wall(1.6, confirmed=0.0))
    assert adaptation.take_over() is None


@pytest.mark.parametrize("rate", [0.1, 1e3])
def test_learning_that_diverges_begins_again(rate: float) -> None:
    network = OneNumber()
    adaptation = in_lockstep(network, BackgroundConfig(learning_rate=rate))
    walk(adaptation, [2.05] * 40)
    assert 1.9 < 1.0 / network.level.item() < 2.2


def test_a_loss_that_is_not_finite_begins_again() -> None:
    network = OneNumber()
    learner = RoomLearner(network, QUICK)
    sound = room_label(keyframe(0), wall(), SIZE)
    learner.step([sound])
    assert learner.foreseen(sound).change > 0.0
    learner.step([replace(sound, weight=torch.full_like(sound.weight, float("nan")))])
    assert learner.foreseen(sound).change == 0.0
    assert network.level.item() == 0.5


def test_weights_that_are_not_finite_are_never_used() -> None:
    unseen, label = UnseenErrors(min_gain=0.2), room_label(keyframe(0), wall(), SIZE)
    broken = Foreseen(2.0 * torch.ones(1, 1, 64, 64), torch.full((1, 1, 64, 64), float("nan")))
    for index in range(3):
        unseen.foresee(index, broken)
        unseen.judge(index, label)
        assert unseen.blend == 0.0
    assert unseen.is_astray


def test_equal_input_gives_equal_weights() -> None:
    weights = []
    for _ in range(2):
        network = OneNumber()
        walk(in_lockstep(network), [1.5 + 0.005 * index for index in range(30)])
        weights.append(network.level.item())
    assert weights[0] == weights[1] != 0.5


def test_learned_weights_are_saved_loaded_and_forgotten() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    walk(adaptation, [1.6] * 24)
    state = adaptation.state_dict()
    assert list(state) == ["level"]
    other = OneNumber()
    loaded = in_lockstep(other)
    loaded.check(state)
    loaded.load_state_dict(state)
    assert other.level.item() == network.level.item() and loaded.blend == 1.0
    loaded.reset()
    assert other.level.item() == 0.5 and loaded.state_dict() == {} and loaded.blend == 0.0


def test_loaded_weights_of_another_room_are_given_up() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    adaptation.load_state_dict({"level": torch.tensor(0.8)})
    blends = walk(adaptation, [2.0] * 10)
    assert blends[0] == 1.0 and blends[-1] == 0.0
    assert network.level.item() == 0.5


def test_loaded_weights_of_this_room_stay() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    adaptation.load_state_dict({"level": torch.tensor(0.625)})
    assert set(walk(adaptation, [1.6] * 12)) == {1.0}
    assert 1.0 / network.level.item() == pytest.approx(1.6, abs=0.05)


def test_mapping_waits_for_no_prediction_and_no_step() -> None:
    """All work of the network is done by the thread that learns."""
    network, callers = OneNumber(), set[str]()
    predict = OneNumber.predict

    def counted(self: OneNumber, image: torch.Tensor) -> Prediction:
        callers.add(threading.current_thread().name)
        return predict(self, image)

    config = BackgroundConfig(learning_rate=1e-2, share=1.0)
    adaptation = BackgroundAdaptation(
        network, config, SIZE, offline=False, is_pressed=lambda: False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OneNumber, "predict", counted)
        try:
            end, index = time.monotonic() + 60.0, 0
            while adaptation.blend == 0.0 and time.monotonic() < end:
                walk(adaptation, [1.6] * 8, start=index)
                index += 8
                time.sleep(0.02)
        finally:
            adaptation.close()
    assert adaptation.blend > 0.0
    assert callers == {"adaptation"}


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.zeros(3)])
def test_weights_that_do_not_fit_are_refused(value: torch.Tensor) -> None:
    network = OneNumber()
    with pytest.raises(DepthError, match="learned weights level"):
        in_lockstep(network).check({"level": value})
    assert network.level.item() == 0.5


def test_no_step_begins_while_keyframes_wait_and_judging_goes_on() -> None:
    network = OneNumber()
    config = BackgroundConfig(learning_rate=1e-2, share=1.0)
    adaptation = BackgroundAdaptation(
        network, config, SIZE, offline=False, is_pressed=lambda: True
    )
    try:
        walk(adaptation, [1.6] * 20)
        time.sleep(0.3)
        assert adaptation.take_over() is None
        # Weights of another room: they are given up although nothing can be learned.
        adaptation.load_state_dict({"level": torch.tensor(0.8)})
        end, index = time.monotonic() + 60.0, 20
        while adaptation.blend > 0.0 and time.monotonic() < end:
            walk(adaptation, [2.0] * 8, start=index)
            index += 8
            time.sleep(0.02)
        assert network.level.item() == 0.5
    finally:
        adaptation.close()


def test_the_memory_is_bounded_and_a_sample_of_the_whole_walk() -> None:
    labels = RoomLabels(capacity=16, seed=0)
    for index in range(400):
        labels.add(room_label(keyframe(index), wall(1.0 + 0.01 * index), SIZE))
    depths = [float(label.depth[0, 0, 0, 0]) for label in labels.batch(16)]
    assert len(labels) == 16
    assert min(depths) < 3.0 and max(depths) > 4.9
