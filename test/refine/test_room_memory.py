"""The memory of the network's errors, which expects them again where the room looks alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import DepthEstimate, RawDepth
from e2e_slam_ros.refine.room_memory.gaussian_process import Likeness, expected
from e2e_slam_ros.refine.room_memory.room_memory import RoomMemory
from e2e_slam_ros.refine.room_memory.seen_place import place_of

CPU = torch.device("cpu")
HEIGHT, WIDTH = 16, 20


def looks(seed: int) -> torch.Tensor:
    """Return features of an image (1, C, 4, 5) that are unlike those of any other seed."""
    return torch.randn((1, 64, 4, 5), generator=torch.Generator().manual_seed(seed))


def predicted(features: torch.Tensor | None, metres: float = 2.0) -> RawDepth:
    depth = torch.full((1, 1, HEIGHT, WIDTH), metres)
    return RawDepth(depth, None, "network", "network (learned metric scale)", features=features)


def established(
    depth: torch.Tensor | float, confidence: torch.Tensor | None = None
) -> DepthEstimate:
    image = torch.as_tensor(depth).expand(1, 1, HEIGHT, WIDTH)
    return DepthEstimate(image, confidence, "network", "motion")


def memory_of(*pairs: tuple[int, float]) -> RoomMemory:
    """Return the memory of keyframes that look like a seed and are so many metres away."""
    memory = RoomMemory(capacity=100)
    for index, (seed, metres) in enumerate(pairs):
        memory.remember(index, place_of(predicted(looks(seed)), established(metres), 0.02))
    return memory


def told(memory: RoomMemory, seed: int) -> torch.Tensor:
    return memory.in_room(predicted(looks(seed))).depth


def test_the_regression_is_that_of_the_text_book() -> None:
    generator = np.random.default_rng(3)
    known, wanted = (generator.normal(size=(n, 5)) for n in (7, 3))
    known, wanted = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (known, wanted))
    values, variance = generator.normal(size=7), generator.uniform(0.01, 0.1, 7)

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        square = ((a[:, None] - b[None]) ** 2).sum(2)
        return 0.3**2 * np.exp(-square / (2 * 0.7**2))

    inverse = np.linalg.inv(covariance(known, known) + np.diag(variance))
    mean = covariance(wanted, known) @ inverse @ values

    found = expected(
        Likeness(0.3, 0.7), *(torch.from_numpy(x) for x in (wanted, known, values, variance))
    )

    np.testing.assert_allclose(found, mean, rtol=1e-9)


def test_what_looks_alike_is_wrong_alike() -> None:
    memory = memory_of((0, 3.0), (1, 1.5))

    alike, other, unlike = (float(told(memory, seed).mean()) for seed in (0, 1, 2))

    assert alike == pytest.approx(3.0, rel=0.05)
    assert other == pytest.approx(1.5, rel=0.05)
    assert unlike == pytest.approx(2.0, rel=0.08)


def test_an_empty_memory_changes_nothing() -> None:
    raw = RoomMemory(capacity=100).in_room(predicted(looks(0)))

    assert raw.room is None
    assert torch.equal(raw.depth, predicted(looks(0)).depth)


def test_a_room_is_not_applied_twice() -> None:
    memory = memory_of((0, 3.0))
    once = memory.in_room(predicted(looks(0)))

    torch.testing.assert_close(memory.in_room(once).depth, once.depth)
    torch.testing.assert_close(once.without_room().depth, predicted(looks(0)).depth)


def test_each_part_of_an_image_has_its_own_error() -> None:
    left = torch.arange(WIDTH) < WIDTH // 2
    memory = RoomMemory(capacity=100)
    for index in range(3):
        depth = torch.where(left, 1.9, 2.3).expand(1, 1, HEIGHT, WIDTH)
        memory.remember(index, place_of(predicted(looks(0)), established(depth), 0.02))

    depth = told(memory, 0)[0, 0]

    assert float(depth[:, :4].mean()) == pytest.approx(1.9, rel=0.04)
    assert float(depth[:, -4:].mean()) == pytest.approx(2.3, rel=0.04)


def test_pixels_that_nothing_confirms_say_nothing() -> None:
    wrong = torch.full((1, 1, HEIGHT, WIDTH), 3.0)
    wrong[..., :8] = 50.0
    sure = torch.ones_like(wrong)
    sure[..., :8] = 0.0
    memory = RoomMemory(capacity=100)
    memory.remember(0, place_of(predicted(looks(0)), established(wrong, sure), 0.02))

    assert float(told(memory, 0).max()) < 3.3


def test_a_scale_that_motion_hardly_knows_counts_less() -> None:
    sure, unsure = RoomMemory(capacity=100), RoomMemory(capacity=100)
    sure.remember(0, place_of(predicted(looks(0)), established(3.0), 0.02))
    unsure.remember(0, place_of(predicted(looks(0)), established(3.0), 0.5))

    assert float(told(sure, 0).mean()) > 2.8 > 2.3 > float(told(unsure, 0).mean())


def test_too_little_is_no_place() -> None:
    nothing = torch.zeros(1, 1, HEIGHT, WIDTH)
    nothing[..., 0, :10] = 1.0

    assert place_of(predicted(looks(0)), established(3.0, nothing), 0.02) is None
    assert place_of(predicted(looks(0)), established(0.0), 0.02) is None
    assert place_of(predicted(None), established(3.0), 0.02) is None


def test_without_features_there_is_no_room() -> None:
    raw = memory_of((0, 3.0)).in_room(predicted(None))

    assert raw.room is None
    assert torch.equal(raw.depth, predicted(None).depth)


def test_a_network_without_features_learns_one_scale() -> None:
    alike = torch.ones(1, 1, 1, 1)
    memory = RoomMemory(capacity=100)
    for index in range(6):
        memory.remember(index, place_of(predicted(alike), established(2.6), 0.02))

    assert float(memory.in_room(predicted(alike)).depth.mean()) == pytest.approx(2.6, rel=0.01)


def test_the_oldest_is_forgotten_and_what_is_looked_at_again_is_not() -> None:
    memory = RoomMemory(capacity=2)
    for index, metres in enumerate((3.0, 1.5)):
        memory.remember(index, place_of(predicted(looks(index)), established(metres), 0.02))
    memory.remember(0, place_of(predicted(looks(0)), established(2.8), 0.02))
    memory.remember(2, place_of(predicted(looks(2)), established(2.4), 0.02))

    assert len(memory) == 2
    assert float(told(memory, 0).mean()) == pytest.approx(2.8, rel=0.05)
    assert float(told(memory, 1).mean()) == pytest.approx(2.0, rel=0.1)

    memory.remember(0, None)
    assert len(memory) == 1


def test_more_places_than_are_compared_in_full_are_all_of_use() -> None:
    memory = memory_of(*((seed, 2.0 + 0.05 * seed) for seed in range(40)))

    for seed in (0, 20, 39):
        assert float(told(memory, seed).mean()) == pytest.approx(2.0 + 0.05 * seed, rel=0.08)


def test_a_saved_room_is_the_same_room() -> None:
    memory, other = memory_of((0, 3.0), (1, 1.5)), RoomMemory(capacity=100)
    state = memory.state_dict()
    RoomMemory.check(state)
    other.load_state_dict(state, CPU)

    torch.testing.assert_close(told(other, 0), told(memory, 0))
    assert RoomMemory(capacity=100).state_dict() == {}
    # A keyframe of this run has the number of one of the last, and is another place.
    other.remember(0, place_of(predicted(looks(7)), established(2.5), 0.02))
    assert len(other) == 3


def test_the_memory_of_another_network_is_not_used() -> None:
    memory = memory_of((0, 3.0))
    other = predicted(torch.ones(1, 8, 4, 5))

    assert memory.in_room(other).room is None
    memory.remember(1, place_of(other, established(3.0), 0.02))
    assert float(memory.in_room(other).depth.mean()) > 2.5


@pytest.mark.parametrize(
    "change",
    [
        {"scale": torch.tensor([float("nan")])},
        {"scale": torch.zeros(2)},
        {"features": torch.zeros(1, 3)},
        {"more": torch.zeros(1)},
    ],
)
def test_a_saved_room_that_is_none_is_refused(change: dict[str, torch.Tensor]) -> None:
    state = memory_of((0, 3.0)).state_dict()

    with pytest.raises(DepthError, match="memory of the room"):
        RoomMemory.check(state | change)
    with pytest.raises(DepthError, match="memory of the room"):
        RoomMemory.check({"scale": torch.zeros(1)})
