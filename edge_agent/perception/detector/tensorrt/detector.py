"""The detector on a TensorRT engine: any YOLO-family network, behind the Detector port."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Detection
from edge_agent.perception.detector.postprocess import (
    DEFAULT_THRESHOLD,
    ModelDescription,
    OutputDecoder,
    recognise_outputs,
)
from edge_agent.perception.detector.tensorrt.bindings import Bindings
from edge_agent.perception.detector.tensorrt.engine_file import read_engine
from edge_agent.perception.detector.tensorrt.session import EngineSession
from edge_agent.perception.detector.tensorrt.spec import PostprocessOptions
from edge_agent.perception.vision import Letterbox
from edge_agent.perception.vision.letterbox import PAD_GREY
from edge_agent.ports import DetectorInfo


class TensorRtDetector:
    """Implements ports.Detector on an engine file, ours or Ultralytics'.

    Open, use and close it in one thread. Raises ConfigError when the file cannot be read or is not a detector,
    DamagedEngineError when it is damaged, EngineError when it does not load on this machine.
    """

    info: DetectorInfo

    def __init__(self, engine: Path, bindings: Bindings, options: PostprocessOptions) -> None:
        engine_info, content = read_engine(engine)
        self._session = EngineSession(bindings, content, (1, 3, engine_info.height, engine_info.width))
        try:
            self._letterbox = Letterbox(engine_info.width, engine_info.height, self._session.input.dtype)
            self._letterbox.blob = self._session.input  # pictures are written straight into pinned memory
            self.info = DetectorInfo(
                "tensorrt",
                engine_info.model or engine.name,
                engine_info.key.onnx_sha256 if engine_info.key else "",
                engine_info.width,
                engine_info.height,
                engine_info.labels,
            )
            threshold = next(v for v in (options.threshold, engine_info.threshold, DEFAULT_THRESHOLD) if v is not None)
            grey = np.full((engine_info.height, engine_info.width, 3), PAD_GREY, np.uint8)
            self._letterbox.fill(grey)
            description = ModelDescription(
                str(engine), engine_info.labels, engine_info.width, engine_info.height, engine_info.layout
            )
            spec = recognise_outputs(self._session.run(), description, threshold)
        except BaseException:
            self._session.close()
            raise
        self.decoder = OutputDecoder(spec, engine_info.labels, threshold, options.iou, options.max_detections)
        self.threshold = threshold

    @property
    def uses_cuda_graph(self) -> bool:
        """Whether a frame is a single launch of a CUDA graph."""
        return self._session.uses_cuda_graph

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Find signs in a (height, width, 3) uint8 BGR picture; boxes in its pixels, best score first.

        Raises FatalError when the GPU fails, or the network outputs NaN or infinity.
        """
        _, placement = self._letterbox.fill(image)
        return self.decoder.decode(self._session.run(), placement, image)

    def close(self) -> None:
        """Release the engine, its memory and the context; a second call does nothing."""
        self._session.close()


__all__ = ["PostprocessOptions", "TensorRtDetector"]
