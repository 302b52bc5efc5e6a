from __future__ import annotations

import numpy as np
import pytest

PACKAGE = "tf_transformations"
QUARTER = np.pi / 2


@pytest.fixture
def tf(load):
    return load("tf_transformations")


def test_quaternions_are_xyzw(tf):
    half = np.sqrt(0.5)
    np.testing.assert_allclose(tf.quaternion_from_euler(0, 0, QUARTER), [0, 0, half, half])
    np.testing.assert_allclose(tf.quaternion_about_axis(QUARTER, [0, 0, 2]), [0, 0, half, half])


def test_fixed_axes_turn_in_the_order_given(tf):
    # First about x: y goes to z. Then about z: z stays.
    turned = tf.euler_matrix(QUARTER, 0, QUARTER, "sxyz") @ np.array([0, 1, 0, 1])
    np.testing.assert_allclose(turned, [0, 0, 1, 1], atol=1e-12)


def test_turning_axes(tf):
    # First about z, then about the new x, which is the old y: x goes to y and stays there.
    turned = tf.euler_matrix(QUARTER, 0, QUARTER, "rzyx") @ np.array([1, 0, 0, 1])
    np.testing.assert_allclose(turned, [0, 1, 0, 1], atol=1e-12)


@pytest.mark.parametrize("axes", ["sxyz", "rzyx", "szyx", "rxyz"])
def test_euler_round_trip(tf, axes):
    angles = (0.3, -0.7, 1.1)
    back = tf.euler_from_quaternion(tf.quaternion_from_euler(*angles, axes), axes)
    np.testing.assert_allclose(back, angles, atol=1e-9)
    back = tf.euler_from_matrix(tf.euler_matrix(*angles, axes), axes)
    np.testing.assert_allclose(back, angles, atol=1e-9)


def test_matrix_round_trip(tf):
    quaternion = np.array([0.1, -0.2, 0.3, 0.9])
    quaternion /= np.linalg.norm(quaternion)
    matrix = tf.quaternion_matrix(quaternion)
    assert matrix.shape == (4, 4)
    np.testing.assert_allclose(tf.quaternion_from_matrix(matrix), quaternion, atol=1e-12)


def test_product_is_composition(tf):
    left, right = tf.quaternion_from_euler(0.1, 0.2, 0.3), tf.quaternion_from_euler(-1.0, 0.4, 0.2)
    product = tf.quaternion_matrix(tf.quaternion_multiply(left, right))
    expected = tf.quaternion_matrix(left) @ tf.quaternion_matrix(right)
    np.testing.assert_allclose(product, expected, atol=1e-12)
    one = tf.quaternion_multiply(left, tf.quaternion_inverse(left))
    np.testing.assert_allclose(one, [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(tf.quaternion_conjugate(left)[:3], -np.asarray(left)[:3])


def test_slerp_goes_half_way_the_short_way(tf):
    start, end = tf.quaternion_from_euler(0, 0, 0), tf.quaternion_from_euler(0, 0, QUARTER)
    expected = tf.quaternion_from_euler(0, 0, QUARTER / 2)
    np.testing.assert_allclose(tf.quaternion_slerp(start, end, 0.5), expected, atol=1e-12)
    halfway = tf.quaternion_matrix(tf.quaternion_slerp(start, -np.asarray(end), 0.5))
    np.testing.assert_allclose(halfway, tf.quaternion_matrix(expected), atol=1e-12)


def test_motions(tf):
    move = tf.translation_matrix([1, 2, 3])
    np.testing.assert_allclose(tf.translation_from_matrix(move), [1, 2, 3])
    both = tf.concatenate_matrices(move, tf.rotation_matrix(QUARTER, [0, 0, 1]))
    np.testing.assert_allclose(both @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    identity = both @ tf.inverse_matrix(both)
    np.testing.assert_allclose(identity, tf.identity_matrix(), atol=1e-12)
    np.testing.assert_allclose(tf.unit_vector([3, 0, 4]), [0.6, 0, 0.8])
