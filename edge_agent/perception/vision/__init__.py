"""Image processing: pictures into network input, network output into detections, detections into drawings.

Pure functions on NumPy arrays, except for CameraPicture; the caller chooses the thread.
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
    place as place,
)
from edge_agent.perception.vision.picture import (
    UPRIGHT as UPRIGHT,
    CameraPicture as CameraPicture,
    Size as Size,
    Turn as Turn,
    fitted as fitted,
    resize as resize,
)
