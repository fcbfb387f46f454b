"""Pictures as JPEG or WebP.

Not imported by the rest of this package, as OpenCV is slow to load. Encode in a thread, not in the event loop.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.observers.cloudevents import names
from edge_agent.observers.cloudevents.envelope import EncodedImage

QUALITY_PERCENT = 80
"""The original system's quality; a 600 x 400 JPEG takes some 0.7 ms and 30 kB at it, a WebP some 15 ms."""


def encode_jpeg(image: NDArray[np.uint8], quality_percent: int = QUALITY_PERCENT) -> EncodedImage:
    """Encode a (height, width, 3) uint8 BGR picture as JPEG; raises FatalError for anything else."""
    return EncodedImage(_encode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality_percent]), names.JPEG)


def encode_webp(image: NDArray[np.uint8], quality_percent: int = QUALITY_PERCENT) -> EncodedImage:
    """Encode a (height, width, 3) uint8 BGR picture as WebP; raises FatalError for anything else."""
    return EncodedImage(_encode(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality_percent]), names.WEBP)


def smaller_jpeg(data: bytes, width_px: int, quality_percent: int = QUALITY_PERCENT) -> bytes | None:
    """Return an encoded picture scaled down to `width_px`; None if it is not wider or cannot be decoded."""
    try:
        # A JPEG is decoded at half size, which takes a third of the time.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    except cv2.error:
        return None
    if image is None or image.shape[1] < width_px / 2:
        return None
    height_px = max(1, round(image.shape[0] * width_px / image.shape[1]))
    resized = cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    return _encode(np.asarray(resized, np.uint8), ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality_percent])


def _encode(image: NDArray[np.uint8], form: str, options: list[int]) -> bytes:
    try:
        done, buffer = cv2.imencode(form, image, options)
    except cv2.error as error:
        raise FatalError("a picture cannot be encoded", detail=str(error)) from None
    if not done:
        raise FatalError("a picture cannot be encoded", form=form)
    return buffer.tobytes()
