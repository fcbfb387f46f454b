#!/usr/bin/env bash
# OpenCV 5.0.0 with its FFmpeg: a change of picture size inside one stream cannot be seen.
#
# Expected: read() returns each picture in its own size, or a property tells that the size has changed.
# Seen: every picture is scaled to the size of the first one; CAP_PROP_FRAME_WIDTH stays too.
# It matters to us since a camera that changes its mode or crop shows signs at another distance.
#
# Output seen:
#   written: 5 pictures of 96x64, then 5 of 192x128
#   read: {'96x64'}, width by CAP_PROP_FRAME_WIDTH: {96}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.*
cat > "$work/try.py" <<'PY'
import sys
from pathlib import Path

import cv2
import numpy as np

folder = Path(sys.argv[1])
content = b""
for width, height in ((96, 64), (192, 128)):
    part = folder / "part.ts"
    writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
    for number in range(5):
        writer.write(np.full((height, width, 3), 40 * number, np.uint8))
    writer.release()
    content += part.read_bytes()
(folder / "both.ts").write_bytes(content)  # transport streams are joined by joining their bytes
print("written: 5 pictures of 96x64, then 5 of 192x128")
capture = cv2.VideoCapture(str(folder / "both.ts"), cv2.CAP_FFMPEG)
sizes, widths, count = set(), set(), 0
while (got := capture.read())[0]:
    sizes.add(f"{got[1].shape[1]}x{got[1].shape[0]}")
    widths.add(int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
    count += 1
assert count > 7, count
print(f"read: {sizes}, width by CAP_PROP_FRAME_WIDTH: {widths}")
PY
"$work/venv/bin/python" "$work/try.py" "$work" 2>/dev/null | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
written: 5 pictures of 96x64, then 5 of 192x128
read: {'96x64'}, width by CAP_PROP_FRAME_WIDTH: {96}
SEEN
