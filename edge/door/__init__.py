"""The loop at the door: its wiring, its pace and the motion gate."""
