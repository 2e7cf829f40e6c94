"""maskgate on the device: find faces, judge each one's mask, alert, count."""

import os

MOST_PIXELS = 64_000_000
"""Maximum pixels of an image. Decoding takes up to seven bytes per pixel, and systemd limits the service to 600 MB."""

# OpenCV reads this once, when it is first imported, and then refuses a larger picture by its header: a few bytes
# that promise 30,000 x 30,000 pixels would otherwise take 2.7 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

# OpenCV and FFmpeg write what they think of a source straight to stderr; the operator gets one sentence of ours.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
