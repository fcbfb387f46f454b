"""Bounds what one compressed batch may expand to, in aiokafka's codecs: importing this module installs the bound.

A kilobyte of zstd can expand to gigabytes, and anybody who may write to a topic can send it. aiokafka has no limit, but
its functions look up `cramjam` and `gzip` in their module at each call.
"""

import gzip
import mmap
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiokafka.codec

MAX_BYTES = 64 * 1024 * 1024
"""The largest batch that is read, uncompressed; no message of a train comes near it."""


def _bounded(decompress_into: Callable[[Any, Any], int]) -> Callable[[Any], bytes]:
    def decompress(payload: Any) -> bytes:
        # Only the pages that are written cost memory; cramjam raises DecompressionError where the room is too small.
        with mmap.mmap(-1, MAX_BYTES) as room:
            return room[: decompress_into(payload, room)]

    return decompress


class _BoundedGzipFile(gzip.GzipFile):
    def read(self, size: int | None = -1) -> bytes:
        data = super().read(MAX_BYTES + 1 if size is None or size < 0 else size)
        if len(data) > MAX_BYTES:
            raise OSError(f"the batch expands to more than {MAX_BYTES} bytes")
        return data


_cramjam = aiokafka.codec.cramjam
if _cramjam is not None:  # a distribution may package aiokafka without it: then gzip alone is read
    aiokafka.codec.cramjam = SimpleNamespace(
        snappy=SimpleNamespace(decompress_raw=_bounded(_cramjam.snappy.decompress_raw_into)),
        lz4=SimpleNamespace(decompress=_bounded(_cramjam.lz4.decompress_into)),
        zstd=SimpleNamespace(decompress=_bounded(_cramjam.zstd.decompress_into)),
    )
aiokafka.codec.gzip = SimpleNamespace(GzipFile=_BoundedGzipFile)
