"""Time stamps as integer nanoseconds, read from decimal text without rounding."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

_LIMIT_NS = 2**63


def parse_stamp_ns(text: str) -> int:
    """Return decimal seconds as nanoseconds, exact to the last digit.

    Seconds since 1970 have ten digits before the point. A float then keeps about seven digits
    after the point, too few for a nanosecond. Digits beyond the ninth are rounded.

    Raises:
        ValueError: not a finite number, or outside the range of a 64-bit stamp.

    >>> parse_stamp_ns("1305031102.175304")
    1305031102175304000
    """
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a time in seconds") from None
    # The comparison comes before scaling, because 1e999999 would be a very long integer. The
    # exponent comes before the comparison, which overflows for the largest ones.
    if (
        not seconds.is_finite()
        or seconds.adjusted() > 18
        or abs(seconds) >= Decimal(_LIMIT_NS) / 10**9
    ):
        raise ValueError(f"{text!r} is not a time in seconds")
    return int((seconds * 10**9).to_integral_value())


def format_stamp(stamp_ns: int) -> str:
    """Return nanoseconds as decimal seconds, with six digits after the point or nine if needed."""
    sign = "-" if stamp_ns < 0 else ""
    seconds, nanoseconds = divmod(abs(stamp_ns), 10**9)
    if nanoseconds % 1000:
        return f"{sign}{seconds}.{nanoseconds:09d}"
    return f"{sign}{seconds}.{nanoseconds // 1000:06d}"
