"""The report's program up to its first verdict: ``python -m tests.bench.report_pipeline PEERS``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main() -> None:
    """Load the models, play the demo clip, and print the first verdict as maskgate prints its own."""
    from tests.bench.peers import SIDE, KerasMasks
    from tests.bench.scenes import demo
    from train.evaluate.peers import yunet
    from train.mask.model import report_classifier

    detector = yunet.FaceDetector(Path(sys.argv[1]), 320)
    masks = KerasMasks(report_classifier(SIDE, 1.0, "none", 2))
    for frame in demo():
        if readings := masks.classify(frame.image, detector.detect(frame, yunet.THRESHOLD)):
            print(json.dumps({"event": "verdict", "verdict": readings[0].label}), flush=True)
            return


if __name__ == "__main__":
    main()
