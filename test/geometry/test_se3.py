"""SE(3): closed forms, round trips up to half a turn, derivatives, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import PoseError
from e2e_slam_ros.geometry import se3

ANGLES = [0.0, 1e-12, 1e-8, 1e-4, 0.01, 0.2, 0.2236, 0.224, 1.0, 3.0, math.pi - 1e-6]

components = st.floats(-1.0, 1.0)
vectors = st.tuples(components, components, components)


def _vector(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _twist(rho: tuple[float, float, float], axis: torch.Tensor, angle: float) -> torch.Tensor:
    return torch.cat([_vector(rho), axis / axis.norm() * angle])


def _close(a: torch.Tensor, b: torch.Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def test_exp_of_zero_is_the_identity_exactly() -> None:
    assert torch.equal(se3.exp(torch.zeros(6)), torch.eye(4))


def test_exp_of_a_translation() -> None:
    transform = se3.exp(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]))
    assert transform[:3, 3].tolist() == [1.0, 2.0, 3.0]
    assert torch.equal(transform[:3, :3], torch.eye(3))


def test_exp_of_a_quarter_turn_about_z() -> None:
    # Moving forward one unit of arc while turning left a quarter: a quarter circle of radius
    # 2/pi, which ends at (2/pi, 2/pi).
    xi = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, math.pi / 2], dtype=torch.float64)
    transform = se3.exp(xi)
    r = 2 / math.pi
    expected = [[0.0, -1.0, 0.0, r], [1.0, 0.0, 0.0, r], [0.0, 0.0, 1.0, 0.0], [0, 0, 0, 1.0]]
    _close(transform, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_equals_the_matrix_exponential(angle: float) -> None:
    xi = _twist((0.3, -0.7, 1.1), _vector((1.0, -2.0, 0.5)), angle)
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[:3, :3] = se3.hat(xi[3:])
    generator[:3, 3] = xi[:3]
    _close(se3.exp(xi), torch.linalg.matrix_exp(generator), 1e-13)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, -1, 2), (0.3, -0.9, 0.1)])
def test_log_inverts_exp(angle: float, axis: tuple[float, float, float]) -> None:
    xi = _twist((0.3, -0.7, 1.1), _vector(axis), angle)
    _close(se3.log(se3.exp(xi)), xi)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, -1, 2)])
def test_log_of_exactly_half_a_turn(axis: tuple[float, float, float]) -> None:
    transform = se3.exp(_twist((0.3, -0.7, 1.1), _vector(axis), math.pi))
    xi = se3.log(transform)
    assert float(xi[3:].norm()) == pytest.approx(math.pi, abs=1e-9)
    _close(se3.exp(xi), transform, 1e-9)


@given(vectors, vectors, st.floats(0.0, 3.1))
def test_round_trips(rho: tuple[float, ...], axis: tuple[float, ...], angle: float) -> None:
    direction = _vector(axis)  # type: ignore[arg-type]
    if float(direction.norm()) < 1e-3:
        direction = _vector((1.0, 0.0, 0.0))
    xi = _twist(rho, direction, angle)  # type: ignore[arg-type]
    transform = se3.exp(xi)
    se3.check_rigid(transform, tolerance=1e-12)
    _close(se3.log(transform), xi, 1e-11)
    _close(transform @ se3.inverse(transform), torch.eye(4, dtype=torch.float64))
    _close(se3.inverse(transform), se3.exp(-xi))


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.1, 0.2236, 1.5, 3.0])
def test_derivatives(angle: float) -> None:
    xi = _twist((0.3, -0.7, 1.1), _vector((1.0, -2.0, 0.5)), angle).requires_grad_()
    assert torch.autograd.gradcheck(se3.exp, (xi,), atol=1e-7)
    if angle > 1e-6 or angle == 0.0:
        # exp before log keeps the perturbed matrices rigid, which log assumes.
        assert torch.autograd.gradcheck(lambda x: se3.log(se3.exp(x)), (xi,), atol=1e-7)


def test_derivative_of_log_exp_at_zero_is_the_identity() -> None:
    zero = torch.zeros(6, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: se3.log(se3.exp(x)), zero)
    _close(jacobian, torch.eye(6, dtype=torch.float64))


def test_single_precision_round_trip_is_accurate() -> None:
    xi = 0.5 * torch.randn(200, 6, generator=torch.manual_seed(1))
    back = se3.log(se3.exp(xi))
    assert back.dtype == torch.float32
    torch.testing.assert_close(back, xi, rtol=0, atol=3e-6)


def test_batches_and_points() -> None:
    xi = torch.randn(2, 5, 6, dtype=torch.float64, generator=torch.manual_seed(2))
    transforms = se3.exp(xi)
    assert transforms.shape == (2, 5, 4, 4)
    assert se3.log(transforms).shape == (2, 5, 6)
    points = torch.randn(2, 5, 7, 3, dtype=torch.float64, generator=torch.manual_seed(3))
    moved = se3.transform_points(transforms, points)
    one = transforms[1, 3] @ torch.cat([points[1, 3, 4], torch.ones(1, dtype=torch.float64)])
    _close(moved[1, 3, 4], one[:3])


def test_check_rigid_accepts_rounded_poses() -> None:
    rounded = (se3.exp(torch.randn(6, generator=torch.manual_seed(4))) * 1e4).round() / 1e4
    se3.check_rigid(rounded)
    se3.check_rigid(rounded.expand(3, 4, 4))


@pytest.mark.parametrize("kind", ["nan", "inf", "scaled", "sheared", "mirrored", "bottom", "3x4"])
def test_check_rigid_refuses(kind: str) -> None:
    transform = torch.eye(4)
    if kind == "nan":
        transform[0, 3] = math.nan
    elif kind == "inf":
        transform[1, 1] = math.inf
    elif kind == "scaled":
        transform[:3, :3] *= 1.01
    elif kind == "sheared":
        transform[0, 1] = 0.1
    elif kind == "mirrored":
        transform[2, 2] = -1.0
    elif kind == "bottom":
        transform[3, 0] = 0.5
    else:
        transform = transform[:3]
    with pytest.raises(PoseError, match="camera pose: got .*expected a rigid 4x4"):
        se3.check_rigid(transform, "camera pose")


def test_check_similarity_accepts_scaled_motions() -> None:
    for scale in (1e-3, 0.5, 1.0, 40.0):
        transform = se3.exp(torch.tensor([1.0, 2.0, 3.0, 0.1, -0.4, 0.2], dtype=torch.float64))
        transform[:3, :3] *= scale
        se3.check_similarity(transform)
        se3.check_similarity(transform.float().expand(3, 4, 4))


@pytest.mark.parametrize(
    "diagonal",
    [
        (1.0, 1.0, 1.01, 1.0), (-2.0, 2.0, 2.0, 1.0), (0.0, 0.0, 0.0, 1.0), (2.0, 2.0, 2.0, 2.0),
        (math.nan, 1.0, 1.0, 1.0), (math.inf, math.inf, math.inf, 1.0), (1.0, 1.0, 1.0),
    ],
)  # fmt: skip
def test_check_similarity_refuses(diagonal: tuple[float, ...]) -> None:
    with pytest.raises(PoseError, match="loop: got .* expected a similarity"):
        se3.check_similarity(torch.diag(torch.tensor(diagonal, dtype=torch.float64)), "loop")


def test_motions_stay_exact_under_autocast() -> None:
    xi = torch.tensor([0.3, -0.2, 0.1, 0.2, -0.1, 0.3])
    transform, points = se3.exp(xi), torch.rand(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _close(se3.exp(xi), transform)
        _close(se3.inverse(transform), torch.linalg.inv(transform), atol=1e-6)
        twice = se3.compose(transform, transform)
        _close(se3.log(transform), xi, atol=1e-6)
        moved = se3.transform_points(transform, points)
    _close(twice, transform @ transform, atol=1e-6)
    _close(moved, points @ transform[:3, :3].T + transform[:3, 3], atol=1e-6)
