"""Pictures as JPEG or WebP.

Knows OpenCV's encoders. Knows nothing of events. Not imported by the rest of this package: OpenCV takes long to load,
and encoding belongs into a thread.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.wire import names
from edge_agent.wire.envelope import Picture

QUALITY_PERCENT = 80
"""The original system's quality; a 600 x 400 JPEG takes some 0.7 ms and 30 kB at it, a WebP some 15 ms."""


def encode_jpeg(image: NDArray[np.uint8], quality_percent: int = QUALITY_PERCENT) -> Picture:
    """Encode a (height, width, 3) uint8 BGR picture as JPEG; raises FatalError for anything else."""
    return Picture(_encode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality_percent]), names.JPEG)


def encode_webp(image: NDArray[np.uint8], quality_percent: int = QUALITY_PERCENT) -> Picture:
    """Encode a (height, width, 3) uint8 BGR picture as WebP; raises FatalError for anything else."""
    return Picture(_encode(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality_percent]), names.WEBP)


def _encode(image: NDArray[np.uint8], form: str, options: list[int]) -> bytes:
    try:
        done, buffer = cv2.imencode(form, image, options)
    except cv2.error as error:
        raise FatalError("a picture cannot be encoded", detail=str(error)) from None
    if not done:
        raise FatalError("a picture cannot be encoded", form=form)
    return buffer.tobytes()
