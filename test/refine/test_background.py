"""The depth network learns the room in the background."""

from __future__ import annotations

import time

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

CAMERA = PinholeCamera(width=64, height=64, fx=60.0, fy=60.0, cx=31.5, cy=31.5)
SIZE = (64, 64)
QUICK = BackgroundConfig(learning_rate=1e-2)


class OneNumber(DepthNetwork):
    """Says 2 m everywhere."""

    metric = True

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.5))

    def predict(self, image: torch.Tensor) -> Prediction:
        return Prediction(self.level.clamp_min(1e-3).expand_as(image[:, :1]), None)


def keyframe(index: int) -> Keyframe:
    image, pose = torch.full((1, 3, 64, 64), 0.5), torch.eye(4, dtype=torch.float64)
    return Keyframe(index, index, index, image, CAMERA, pose, None, KeyframeDecision(True, "x"))


def wall(depth_m: float = 1.6, confirmed: float = 1.0) -> DepthEstimate:
    depth = torch.full((1, 1, 64, 64), depth_m)
    confidence = torch.zeros_like(depth)
    confidence[..., : round(64 * confirmed)] = 0.8
    return DepthEstimate(depth, confidence, "network", "motion")


def in_lockstep(network: DepthNetwork, config: BackgroundConfig = QUICK) -> BackgroundAdaptation:
    return BackgroundAdaptation(network, config, SIZE, offline=True, is_pressed=lambda: False)


def test_a_room_is_learned_and_taken_over_between_keyframes() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    for index in range(20):
        adaptation.offer(keyframe(index), wall())
        assert network.level.item() == 0.5, "the network in use changes by take_over alone"
    learned = adaptation.take_over()
    assert learned is not None and learned.gain > 0.2
    assert 1.0 / network.level.item() < 1.8
    assert learned.ratio == pytest.approx(0.5 / network.level.item(), rel=1e-3)
    assert adaptation.take_over() is None and adaptation.taken_over == 1


def test_what_is_known_already_is_not_learned() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    for index in range(20):
        adaptation.offer(keyframe(index), wall(2.0))
    assert adaptation.take_over() is None
    assert adaptation.state_dict() == {}


def test_keyframes_that_nobody_confirms_teach_nothing() -> None:
    adaptation = in_lockstep(OneNumber())
    for index in range(20):
        adaptation.offer(keyframe(index), wall(1.6, confirmed=0.0))
    assert adaptation.take_over() is None


def test_a_step_that_diverges_begins_again() -> None:
    network = OneNumber()
    learner = RoomLearner(network, BackgroundConfig(learning_rate=0.1))
    label = room_label(keyframe(0), wall(2.05), SIZE)
    for _ in range(20):
        learner.step([label])
        learned = learner.judged([label])
        assert learned is None or learned.error < learned.before
    broken = room_label(keyframe(0), wall(float("nan")), SIZE)
    learner.step([broken])
    assert learner.judged([broken]) is None
    assert network.level.item() == 0.5


def test_equal_input_gives_equal_weights() -> None:
    weights = []
    for _ in range(2):
        network = OneNumber()
        adaptation = in_lockstep(network)
        for index in range(25):
            adaptation.offer(keyframe(index), wall(1.5 + 0.01 * index))
            adaptation.take_over()
        weights.append(network.level.item())
    assert weights[0] == weights[1] != 0.5


def test_learned_weights_are_saved_loaded_and_forgotten() -> None:
    network = OneNumber()
    adaptation = in_lockstep(network)
    for index in range(20):
        adaptation.offer(keyframe(index), wall())
    adaptation.take_over()
    state = adaptation.state_dict()
    assert list(state) == ["level"]
    other = OneNumber()
    loaded = in_lockstep(other)
    loaded.check(state)
    loaded.load_state_dict(state)
    assert other.level.item() == network.level.item()
    loaded.reset()
    assert other.level.item() == 0.5 and loaded.state_dict() == {}


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.zeros(3)])
def test_weights_that_do_not_fit_are_refused(value: torch.Tensor) -> None:
    network = OneNumber()
    with pytest.raises(DepthError, match="learned weights level"):
        in_lockstep(network).check({"level": value})
    assert network.level.item() == 0.5


def test_a_thread_learns_meanwhile_and_rests_while_keyframes_wait() -> None:
    network, pressed = OneNumber(), [True]
    config = BackgroundConfig(learning_rate=1e-2, share=1.0)
    adaptation = BackgroundAdaptation(
        network, config, SIZE, offline=False, is_pressed=lambda: pressed[0]
    )
    try:
        for index in range(20):
            adaptation.offer(keyframe(index), wall())
        assert adaptation.take_over() is None
        pressed[0] = False
        end = time.monotonic() + 60.0
        learned = None
        while learned is None and time.monotonic() < end:
            adaptation.offer(keyframe(20), wall())
            time.sleep(0.02)
            learned = adaptation.take_over()
        assert learned is not None and learned.error < learned.before
    finally:
        adaptation.close()


def test_the_memory_is_bounded_and_a_sample_of_the_whole_walk() -> None:
    labels = RoomLabels(capacity=16, seed=0)
    for index in range(400):
        labels.add(room_label(keyframe(index), wall(1.0 + 0.01 * index), SIZE))
    depths = [float(label.depth.mean()) for label in labels.batch(16)]
    assert len(labels) == 16 and len(labels.judges) == 12
    assert min(depths) < 3.0 and max(depths) > 4.9
