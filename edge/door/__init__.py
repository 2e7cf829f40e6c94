"""The loop at the door: its wiring, its pace, the motion gate and what systemd is told."""
