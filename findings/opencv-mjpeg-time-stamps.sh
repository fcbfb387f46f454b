#!/usr/bin/env bash
# OpenCV 5.0.0 with its FFmpeg: motion JPEG over HTTP has time stamps that are made up, at 25 pictures a second.
#
# Expected: a stream of JPEGs (multipart/x-mixed-replace) carries no time stamps, so CAP_PROP_POS_MSEC should be 0 or follow
# the arrival of the pictures.
# Seen: it advances by 40 ms with each picture, however many arrive a second.
# It matters to us since who takes them for the camera's would find a camera at 10 pictures a second ever later.
#
# Output seen:
#   pictures arrive every 100 ms, their time stamps advance by 40 ms
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.*
cat > "$work/try.py" <<'PY'
import http.server
import statistics
import threading
import time

import cv2
import numpy as np

PERIOD_S = 0.1


class Camera(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for n in range(40):
            content = cv2.imencode(".jpg", np.full((64, 96, 3), 3 * n, np.uint8))[1].tobytes()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + content + b"\r\n")
            except OSError:
                return
            time.sleep(PERIOD_S)

    def log_message(self, *_):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    capture = cv2.VideoCapture(f"http://127.0.0.1:{server.server_port}/", cv2.CAP_FFMPEG)
    seen = []
    for _ in range(25):
        assert capture.read()[0]
        seen.append((time.monotonic(), capture.get(cv2.CAP_PROP_POS_MSEC)))
    capture.release()
    server.shutdown()
later = seen[5:]  # the first ones had waited until the stream was open
arrival_ms = statistics.median(1000 * (b[0] - a[0]) for a, b in zip(later, later[1:]))
stamp_ms = statistics.median(b[1] - a[1] for a, b in zip(later, later[1:]))
print(f"pictures arrive every {round(arrival_ms, -1):.0f} ms, their time stamps advance by {stamp_ms:.0f} ms")
PY
"$work/venv/bin/python" "$work/try.py" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
pictures arrive every 100 ms, their time stamps advance by 40 ms
SEEN
