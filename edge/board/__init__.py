"""Which board this is, what is fitted to it, and how it is doing.

Read from /proc and /sys: no program is started, no right beyond reading is needed.
"""

from __future__ import annotations

from edge.board.fitted import GpioChip, camera_sensors, gpio_chips, header_chip
from edge.board.profiles import PROFILES, UNKNOWN, Profile, profile_of, threads_for, usable_cores
from edge.board.report import Board, kernel_release, memory_bytes, model_name, read_board, system_name
from edge.board.sensors import power_warnings, slowed_by, temperature_celsius, throttled

__all__ = [
    "PROFILES",
    "UNKNOWN",
    "Board",
    "GpioChip",
    "Profile",
    "camera_sensors",
    "gpio_chips",
    "header_chip",
    "kernel_release",
    "memory_bytes",
    "model_name",
    "power_warnings",
    "profile_of",
    "read_board",
    "slowed_by",
    "system_name",
    "temperature_celsius",
    "threads_for",
    "throttled",
    "usable_cores",
]
