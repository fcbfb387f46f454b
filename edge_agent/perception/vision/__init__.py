"""Image processing: pictures into network input, network output into detections, detections into drawings.

Pure functions on NumPy arrays, except for ResizedPicture; the caller chooses the thread.
"""

from edge_agent.perception.vision.decode import (
    DENSE as DENSE,
    Candidates as Candidates,
    OutputLayout as OutputLayout,
    OutputSpec as OutputSpec,
    decode as decode,
    recognise as recognise,
    suppress as suppress,
    to_detections as to_detections,
)
from edge_agent.perception.vision.letterbox import (
    Letterbox as Letterbox,
    Placement as Placement,
    ResizedPicture as ResizedPicture,
    resize as resize,
)
