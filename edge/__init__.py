"""maskgate on the device: find faces, judge each one's mask, alert, count."""

import os

# OpenCV reads this once, when it is first imported, and then refuses a larger picture by its header: a few bytes
# that promise 30,000 x 30,000 pixels would otherwise take 2.7 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")

# OpenCV and FFmpeg write what they think of a source straight to stderr; the operator gets one sentence of ours.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
