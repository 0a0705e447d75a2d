"""How far a scanned page leans. Tesseract reads nothing of some that lean by 3 degrees."""

import math
import statistics
from itertools import pairwise

from PIL import Image

SIDE = 600
MAX_DEGREES = 10.0
LEAST_DEGREES = 0.4
LEAST_GAIN = 1.15
"""How much sharper the lines must stand out to believe that the page leans."""


def turned(grey: Image.Image, degrees: float) -> Image.Image:
    """`grey` turned by that much counter-clockwise, in a larger picture; 0.0 leaves it alone."""
    if not degrees:
        return grey
    corner = grey.getpixel((0, 0))
    return grey.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=corner)


def before_turning(
    point: tuple[int, int], *, after: Image.Image, before: Image.Image, degrees: float
) -> tuple[float, float]:
    """Where a pixel of the turned picture `after` was in `before`: in parts of its width and
    height."""
    x, y = point[0] - after.width / 2, point[1] - after.height / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (
        (x * cosine - y * sine) / before.width + 0.5,
        (x * sine + y * cosine) / before.height + 0.5,
    )


def lean(grey: Image.Image) -> float:
    """Degrees to turn it by, counter-clockwise, up to MAX_DEGREES; 0.0 where it stands well.

    Where lines of text are level, rows of ink and rows of paper alternate: of the angles tried,
    the one is right at which neighbouring rows differ most. Of a page turned by 90 degrees the
    same holds for columns; lines run in the direction in which one angle stands out more.
    """
    small = grey.reduce(max(1, max(grey.size) // SIDE))
    tried = {angle: _sharpness(small, angle) for angle in _around(0.0, 1.0)}
    axis = max((0, 1), key=lambda axis: _outstanding([both[axis] for both in tried.values()]))

    def sharpness(angle: float) -> int:
        if angle not in tried:
            tried[angle] = _sharpness(small, angle)
        return tried[angle][axis]

    best = max(tried, key=sharpness)
    best = max(_around(best, 0.25, reach=0.75), key=sharpness)
    sure = sharpness(best) > LEAST_GAIN * sharpness(0.0)
    return best if sure and abs(best) >= LEAST_DEGREES else 0.0


def _around(angle: float, step: float, reach: float = MAX_DEGREES) -> list[float]:
    steps = round(reach / step)
    return [angle + step * number for number in range(-steps, steps + 1)]


def _outstanding(values: list[int]) -> float:
    return max(values) / (statistics.median(values) or 1)


def _sharpness(small: Image.Image, angle: float) -> tuple[int, int]:
    """How much neighbouring rows differ, and neighbouring columns."""
    corner = small.getpixel((0, 0))
    turned = small.rotate(angle, Image.Resampling.BILINEAR, fillcolor=corner) if angle else small
    rows = turned.resize((1, turned.height), Image.Resampling.BOX).tobytes()
    columns = turned.resize((turned.width, 1), Image.Resampling.BOX).tobytes()
    return _steps(rows), _steps(columns)


def _steps(means: bytes) -> int:
    return sum((one - next_) ** 2 for one, next_ in pairwise(means))
