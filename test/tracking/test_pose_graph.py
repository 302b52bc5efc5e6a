from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.pose_graph import RelativePose, optimise


def circle(count: int = 40) -> np.ndarray:
    angles = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    poses = rigid.exp(np.stack([np.r_[0, 0, 0, 0, -a, 0] for a in angles]))
    poses[:, :3, 3] = np.stack([3 * np.cos(angles), 0 * angles, 3 * np.sin(angles)], 1)
    return poses


def drifted(true: np.ndarray, growth: float) -> tuple[np.ndarray, list[RelativePose]]:
    """Odometry whose metre shrinks by a factor from keyframe to keyframe, with a little turn."""
    poses, edges, scale = [true[0]], [], 1.0
    error = rigid.exp(np.array([0.0, 0.002, 0.0, 0.0, 0.004, 0.001]))
    for k in range(1, len(true)):
        relative = rigid.inverse(true[k - 1]) @ true[k] @ error
        relative[:3, 3] *= scale
        poses.append(poses[-1] @ relative)
        edges.append(RelativePose(k - 1, k, relative))
        scale *= growth
    return np.stack(poses), edges


def ate(poses: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(((poses[:, :3, 3] - true[:, :3, 3]) ** 2).sum(1).mean()))


def test_nothing_to_correct_stays() -> None:
    true = circle()
    poses, edges = drifted(true, 1.0)
    again, scales = optimise(poses, edges, 0, True)
    assert np.allclose(again, poses, atol=1e-9) and np.allclose(scales, 1.0)


def test_a_rigid_loop_takes_the_drift_out() -> None:
    true = circle()
    poses, edges = drifted(true, 1.0)
    edges.append(RelativePose(0, 39, rigid.inverse(true[0]) @ true[39]))
    closed, scales = optimise(poses, edges, 0, False)
    assert ate(closed, true) < 0.15 * ate(poses, true)
    assert np.array_equal(scales, np.ones(40)) and np.array_equal(closed[0], poses[0])


def test_a_loop_with_scale_takes_the_drift_of_scale_out() -> None:
    true = circle()
    poses, edges = drifted(true, 0.99)
    final_scale = 0.99**38
    edges.append(RelativePose(0, 39, rigid.inverse(true[0]) @ true[39], 1.0 / final_scale))
    with_scale, scales = optimise(poses, edges, 0, True)
    without, _ = optimise(poses, edges, 0, False)
    assert ate(with_scale, true) < 0.2 * ate(poses, true)
    assert ate(with_scale, true) < 0.6 * ate(without, true)
    assert np.isclose(scales[39], 1.0 / final_scale, rtol=0.05)
    assert (np.diff(scales) > 0).all()


def test_agrees_with_gtsam() -> None:
    gtsam = pytest.importorskip("gtsam", reason="GTSAM is the reference; it is not installed")
    true = circle(12)
    poses, edges = drifted(true, 1.0)
    edges.append(RelativePose(0, 11, rigid.inverse(true[0]) @ true[11]))
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    noise = gtsam.noiseModel.Diagonal.Sigmas(np.r_[np.full(3, 0.005), np.full(3, 0.01)])
    graph.add(gtsam.NonlinearEqualityPose3(0, gtsam.Pose3(poses[0])))
    for k, pose in enumerate(poses):
        values.insert(k, gtsam.Pose3(pose))
    for edge in edges:
        graph.add(
            gtsam.BetweenFactorPose3(
                edge.first, edge.second, gtsam.Pose3(edge.T_first_second), noise
            )
        )
    reference = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    ours, _ = optimise(poses, edges, 0, False)
    theirs = np.stack([reference.atPose3(k).matrix() for k in range(12)])
    assert np.abs(ours - theirs).max() < 2e-3
