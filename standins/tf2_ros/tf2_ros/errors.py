"""Exceptions of tf2, with their own names and their own root."""


class TransformException(Exception):  # noqa: N818  (tf2's name)
    """Root of all look-up errors."""


class LookupException(TransformException):
    """A frame was never published."""


class ConnectivityException(TransformException):
    """Two frames have no common ancestor."""


class ExtrapolationException(TransformException):
    """A time lies outside the received range."""


class InvalidArgumentException(TransformException):
    """A frame name or transform is not allowed by tf2."""


class TimeoutException(TransformException):
    """The answer did not come in time."""
