"""Rating a network between two stretches of training, on the validation split.

Knows how to run the network in PyTorch and read it as the agent does. Knows nothing of ONNX or of the training loop.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from edge_agent.mlops.coco import IGNORE, LabelledPicture
from edge_agent.mlops.evaluate.detect import PictureDetections
from edge_agent.mlops.evaluate.matching import ap_table, match, mean_ap
from edge_agent.mlops.evaluate.truth import AnnotatedPicture, GroundTruth
from edge_agent.mlops.network import ExportNet, SignNet
from edge_agent.perception.vision import Letterbox, OutputLayout, OutputSpec, Placement, decode, suppress
from edge_agent.signs import LABELS

_SPEC = OutputSpec(OutputLayout.CHANNELS_LAST, (0,))
_LEAST_SCORE, _IOU, _MOST = 0.01, 0.5, 100


class Validator:
    """Callable from a network to AP50 and AP50-95 over pictures letterboxed to one size.

    Boxes to ignore are left out of the truth, so that the figure is slightly pessimistic where they are found.
    """

    def __init__(self, pictures: Sequence[LabelledPicture], width: int, height: int, device: torch.device) -> None:
        self.pictures, self.width, self.height, self.device = pictures, width, height, device
        scenes = tuple(_scene(picture) for picture in pictures)
        self.truth = GroundTruth(scenes, LABELS, {label: index for index, label in enumerate(LABELS)})

    def __call__(self, net: SignNet) -> tuple[float, float]:
        """Rate."""
        module = ExportNet(net, self.height, self.width).eval().to(self.device)
        letterbox = Letterbox(self.width, self.height)
        finds = [self._look(module, letterbox, picture) for picture in self.pictures]
        return mean_ap(ap_table(match(self.truth, finds)))

    @torch.no_grad()
    def _look(self, module: ExportNet, letterbox: Letterbox, picture: LabelledPicture) -> PictureDetections:
        """Run the network on one picture."""
        blob, placement = letterbox.fill(picture.decode())
        output = module(torch.from_numpy(blob).to(self.device)).float().cpu().numpy()
        found = suppress(decode([output], _SPEC, _LEAST_SCORE), _IOU, _MOST)
        boxes = _back(found.boxes, placement)
        labels = tuple(LABELS[index] for index in found.classes)
        return PictureDetections(boxes, found.scores.astype(np.float64), found.classes.astype(np.int64), labels)


def _back(boxes: NDArray[np.float32], placement: Placement) -> NDArray[np.float64]:
    """Map boxes back into the picture."""
    moved = boxes.astype(np.float64) - np.array([placement.left, placement.top] * 2)
    return np.asarray(moved / np.array([placement.scale_x, placement.scale_y] * 2))


def _scene(picture: LabelledPicture) -> AnnotatedPicture:
    """Take over a picture's truth."""
    keep = picture.labels != IGNORE
    return AnnotatedPicture(picture.path, picture.boxes[keep].astype(np.float64), picture.labels[keep])
