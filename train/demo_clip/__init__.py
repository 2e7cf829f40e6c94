"""The demo clip: a scene at a doorway, rendered from free portraits, and the truth that belongs to it.

``python -m train.demo_clip`` writes ``edge/cameras/demo/demo.mp4`` and ``edge/cameras/demo/demo.json``.
"""
