"""OpenCV with one thread, and the wall that the tests look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
cv2.setNumThreads(1)

from tracking.plane import texture


@pytest.fixture(scope="session")
def wall() -> npt.NDArray[np.uint8]:
    return texture()
