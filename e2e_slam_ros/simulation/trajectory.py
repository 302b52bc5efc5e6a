"""Random paths of a handheld camera: a smooth walk through free space that looks into the room."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.simulation.camera_pose import look_along
from e2e_slam_ros.simulation.dice import Dice
from e2e_slam_ros.simulation.scene import Scene
from e2e_slam_ros.simulation.scene_queries import between_heights, distance, first_hit

_HEADINGS = 36
_SAMPLES = 8
_TREMOR_M = 0.004
_TREMOR_RAD = 0.004


@dataclass(frozen=True)
class MotionStyle:
    """Speeds, clearance and tremor of a camera's motion.

    Attributes:
        speed_m_s: largest walking speed. The usual speed is between half of it and all of it.
        turn_rad_s: largest turning speed about the vertical.
        clearance_m: smallest distance from the camera to any surface.
        tremor: strength of the hand's shaking: 1 for a careful person, 0 for a tripod.

    >>> MotionStyle(tremor=0.0).speed_m_s
    0.7
    """

    speed_m_s: float = 0.7
    turn_rad_s: float = 0.7
    clearance_m: float = 0.35
    tremor: float = 1.0


def smooth_trajectory(
    scene: Scene,
    frames: int,
    rate_hz: float = 30.0,
    seed: int = 0,
    style: MotionStyle | None = None,
) -> torch.Tensor:
    """Return a random smooth path.

    Position and angles are uniform cubic B-splines with one control point a second. The derivative
    of a B-spline is an average of the differences between its control points. Bounded differences
    therefore bound the speed.

    Args:
        scene: the room. Planning happens on the CPU for any device.
        style: speeds and clearance; `MotionStyle`'s defaults if None.

    Returns:
        (frames, 4, 4) float64, T_map_camera (camera optical frame), on the CPU.

    Raises:
        DataError: fewer than one frame, a rate that is not positive, or a room without a place
            that has the requested clearance.
    """
    if frames < 1 or not rate_hz > 0:
        raise DataError.from_parts(
            "trajectory", f"frames={frames}, rate_hz={rate_hz}", "at least 1 and above 0",
            "correct the arguments",
        )  # fmt: skip
    style = style or MotionStyle()
    room, dice = scene.to("cpu"), Dice(seed, stream=3)
    time = torch.arange(frames, dtype=torch.float64) / rate_hz
    # The spline starts at rest. The recording starts two seconds later, when the camera moves.
    time = time + 2.0
    knots = int(time[-1]) + 4
    places = _walk(room, knots, style, dice)
    headings = _headings(room, places, style, dice)
    pitch = _drift(dice, knots, -0.4, 0.05, 0.25)
    roll = _drift(dice, knots, -0.06, 0.06, 0.05)
    controls = torch.cat([places, torch.stack([headings, pitch, roll], dim=1)], dim=1)
    state = _spline(controls, time) + style.tremor * _tremor(dice, time)
    return look_along(state[:, :3], state[:, 3], state[:, 4], state[:, 5])


def _walk(room: Scene, knots: int, style: MotionStyle, dice: Dice) -> torch.Tensor:
    """Return control points (knots, 3) whose spline keeps the clearance."""
    margin = style.clearance_m + 3 * _TREMOR_M * style.tremor
    low, high = 1.0, max(1.1, min(1.75, 2.0 * float(room.half[0, 2]) - style.clearance_m - 0.3))
    # Whatever is farther above or below cannot be too near.
    room = between_heights(room, low - margin, high + margin)
    spread = 2.0 * dice.rand(512, 3).double() - 1.0
    points = spread * room.half[0].double()
    points[:, 2] = 0.5 * (low + high) + 0.5 * (high - low) * spread[:, 2]
    free = (distance(room, points.float()) > margin).nonzero().squeeze(1)
    if len(free) == 0:
        raise DataError.from_parts(
            "trajectory", "no free spot", f"one {style.clearance_m} m from every surface",
            "ask for less clearance or use another seed",
        )  # fmt: skip
    here = points[free[0]]
    path, heading = [here, here, here], dice.uniform(-math.pi, math.pi)
    for _ in range(knots - 3):
        step = style.speed_m_s * (0.5 + 0.5 * dice.rand(64).double())
        # Straight on is most likely. Turning back is always one of the options.
        turn = heading + dice.randn(64).double() * torch.linspace(0.3, 3.0, 64).double()
        rise = 0.15 * (2.0 * dice.rand(64).double() - 1.0) * step
        flat = (step.square() - rise.square()).sqrt()
        options = here + torch.stack([flat * turn.cos(), flat * turn.sin(), rise], dim=1)
        options[:, 2].clamp_(low, high)
        # Staying is always possible, because its spline ends in a piece already travelled.
        options = torch.cat([options, here[None]])
        clear = _piece_clearance(room, torch.stack(path[-3:]), options) > margin
        clear[-1] = True
        pick = options[clear.nonzero()[0, 0]]
        moved = pick - here
        if float(moved.norm()) > 0:
            heading = math.atan2(float(moved[1]), float(moved[0]))
        else:
            heading = dice.uniform(-math.pi, math.pi)
        path.append(pick)
        here = pick
    return torch.stack(path[:knots])


def _piece_clearance(room: Scene, before: torch.Tensor, options: torch.Tensor) -> torch.Tensor:
    """Return the smallest clearance (N,) along the spline's next piece, for each candidate point.

    The next two pieces are included as if the camera then stayed. Staying is thus always possible.
    """
    count = len(options)
    stay = options[:, None].expand(count, 3, 3)
    controls = torch.cat([before.expand(count, 3, 3), stay], dim=1)
    time = torch.linspace(0.0, 2.999, 3 * _SAMPLES, dtype=torch.float64)
    points = _spline(controls.transpose(0, 1).reshape(6, -1), time).reshape(-1, 3)
    return distance(room, points.float()).reshape(-1, count).amin(0)


def _headings(room: Scene, places: torch.Tensor, style: MotionStyle, dice: Dice) -> torch.Tensor:
    """Return yaw control values (knots,). Views neither blocked nor empty are preferred."""
    yaw = torch.arange(_HEADINGS) * (2 * math.pi / _HEADINGS)
    fan = torch.stack([yaw.cos(), yaw.sin(), torch.full_like(yaw, -0.2)], dim=1)
    rays = fan.repeat(len(places), 1)
    origins = places.float().repeat_interleave(_HEADINGS, dim=0)
    reach = first_hit(room, origins, rays).reshape(len(places), 1, _HEADINGS)
    # Average over a field of view of about 60 degrees. Distances of 1.5 to 4 m score best.
    view = torch.nn.functional.avg_pool1d(torch.cat([reach[..., -3:], reach, reach[..., :3]], -1),
                                          7, stride=1)[:, 0]  # fmt: skip
    quality = -(view.clamp(0.3, 6.0) / 2.4).log().abs()
    chosen = [float(yaw[int(quality[0].argmax())])]
    drift = dice.choice((-0.5, 0.5)) * style.turn_rad_s
    for knot in range(1, len(places)):
        delta = (2.0 * dice.rand(12) - 1.0) * style.turn_rad_s
        option = chosen[-1] + delta
        index = (option / (2 * math.pi) * _HEADINGS).round().long() % _HEADINGS
        # People tend to keep turning in the same direction.
        score = quality[knot, index] - (delta - drift).abs() + 0.3 * dice.rand(12)
        step = float(delta[int(score.argmax())])
        drift = math.copysign(drift, step)
        chosen.append(chosen[-1] + step)
    return torch.tensor(chosen, dtype=torch.float64)


def _drift(dice: Dice, knots: int, low: float, high: float, step: float) -> torch.Tensor:
    """Return a bounded random walk (knots,)."""
    value = dice.uniform(low, high)
    values = []
    for _ in range(knots):
        value = min(max(value + dice.uniform(-step, step), low), high)
        values.append(value)
    return torch.tensor(values, dtype=torch.float64)


def _spline(controls: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Return the uniform cubic B-spline of ``controls`` (K, D) at ``time`` (N,).

    There is one control point a second.
    """
    first = time.floor().long().clamp(0, len(controls) - 4)
    t = (time - first).unsqueeze(-1)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    terms = [w * controls[first + i] for i, w in enumerate(weights)]
    return torch.stack(terms).sum(0) / 6.0


def _tremor(dice: Dice, time: torch.Tensor) -> torch.Tensor:
    """Return the hand's shaking (N, 6): metres in x, y, z and radians in yaw, pitch, roll."""
    frequency = torch.tensor([0.9, 1.7, 3.1, 5.3], dtype=torch.float64)
    frequency = frequency * (0.8 + 0.4 * dice.rand(6, 4).double())
    phase = 2 * math.pi * dice.rand(6, 4).double()
    scale = torch.tensor([_TREMOR_M] * 3 + [_TREMOR_RAD] * 3, dtype=torch.float64)
    angle = 2 * math.pi * frequency * time[:, None, None] + phase
    return scale * (angle.sin() / frequency.square().add(1.0)).sum(-1)
