"""The exceptions of tf2, by their own names and with their own root."""


class TransformException(Exception):  # noqa: N818  (tf2's name)
    """Root of what a transform lookup raises."""


class LookupException(TransformException):
    """A frame that nobody has published."""


class ConnectivityException(TransformException):
    """Two frames that share no ancestor."""


class ExtrapolationException(TransformException):
    """A time outside what has been received."""


class InvalidArgumentException(TransformException):
    """A frame name or transform that tf2 does not allow."""


class TimeoutException(TransformException):
    """The answer did not come in time."""
