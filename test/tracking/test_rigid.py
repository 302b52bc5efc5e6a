from __future__ import annotations

import numpy as np
import pytest
import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.tracking import rigid


def twists(count: int, size: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, size, (count, 6))


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3, 0.5, 1.5])
def test_agrees_with_the_tensor_version(size: float) -> None:
    xi = twists(20, size)
    theirs = se3.exp(torch.from_numpy(xi)).numpy()
    assert np.allclose(rigid.exp(xi), theirs, atol=1e-12)
    assert np.allclose(rigid.inverse(theirs) @ theirs, np.eye(4), atol=1e-12)
    for T in theirs:
        assert np.allclose(rigid.log(T), se3.log(torch.from_numpy(T)).numpy(), atol=1e-8)


@pytest.mark.parametrize("angle", [np.pi, np.pi - 1e-9, np.pi - 1e-4])
def test_half_a_turn(angle: float) -> None:
    axis = np.array([0.6, -0.48, 0.64])
    R = rigid.exp(np.concatenate([np.zeros(3), angle * axis]))[:3, :3]
    vector = rigid.rotation_vector(R)
    again = rigid.exp(np.concatenate([np.zeros(3), vector]))[:3, :3]
    assert np.allclose(again, R, atol=1e-7)


def test_orthonormal_takes_out_rounding() -> None:
    T = rigid.exp(twists(1, 1.0)[0])
    bent = T.copy()
    bent[:3, :3] += 1e-4
    fixed = rigid.orthonormal(bent)
    assert np.allclose(fixed[:3, :3] @ fixed[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.allclose(fixed, T, atol=1e-3)
