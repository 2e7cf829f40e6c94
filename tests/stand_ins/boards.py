"""What boards say of themselves in /proc and /sys, as folders.

Put together from device trees, kernel sources and what owners of such boards have published, not from boards at hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Recorded(NamedTuple):
    """A board's texts.

    Attributes:
        model: /proc/device-tree/model; None for a machine without a device tree.
        compatible: /proc/device-tree/compatible, split.
        system: PRETTY_NAME of /etc/os-release.
        memory: MemTotal, in kB.
        free: MemAvailable, in kB.
        zones: /sys/class/thermal: type and temp of each zone.
        chips: /sys/class/gpio: base of each chip, its number under /dev, its label.
        revision: Of a Raspberry Pi.
        sensors: /sys/class/video4linux/v4l-subdev*/name.
        video: /sys/class/video4linux/video*/name.
        word: The Raspberry Pi firmware's, in hexadecimal.
        cooling: /sys/class/thermal/cooling_device*/type.
        kernel: /proc/sys/kernel/osrelease.
    """

    model: str | None
    compatible: tuple[str, ...]
    system: str
    memory: int
    free: int
    zones: tuple[tuple[str, str], ...] = ()
    chips: tuple[tuple[int, int, str], ...] = ()
    revision: str = ""
    sensors: tuple[str, ...] = ()
    video: tuple[str, ...] = ()
    word: str = ""
    cooling: tuple[str, ...] = ()
    kernel: str = "6.12.47+rpt-rpi-v8"


BOOKWORM = "Debian GNU/Linux 12 (bookworm)"
PI_ZONE = (("cpu-thermal", "48312"),)
BOARDS = {
    "zero2w": Recorded(
        "Raspberry Pi Zero 2 W Rev 1.0",
        ("raspberrypi,model-zero-2-w", "brcm,bcm2837"),
        BOOKWORM,
        436_364,
        231_000,
        (("cpu-thermal", "57458"),),
        ((512, 0, "pinctrl-bcm2835"), (566, 1, "raspberrypi-exp-gpio")),
        "902120",
        ("ov5647 10-0036",),
        word="0",
    ),
    "3b+": Recorded(
        "Raspberry Pi 3 Model B Plus Rev 1.3",
        ("raspberrypi,3-model-b-plus", "brcm,bcm2837"),
        BOOKWORM,
        931_840,
        640_000,
        PI_ZONE,
        ((512, 0, "pinctrl-bcm2835"), (566, 1, "raspberrypi-exp-gpio")),
        "a020d3",
        word="50000",
    ),
    "4b": Recorded(
        "Raspberry Pi 4 Model B Rev 1.4",
        ("raspberrypi,4-model-b", "brcm,bcm2711"),
        BOOKWORM,
        3_884_360,
        3_200_000,
        PI_ZONE,
        ((512, 0, "pinctrl-bcm2711"), (570, 1, "raspberrypi-exp-gpio")),
        "c03114",
        ("imx708",),
        ("bcm2835-codec-decode", "unicam-image"),
        "0",
    ),
    "5": Recorded(
        "Raspberry Pi 5 Model B Rev 1.0",
        ("raspberrypi,5-model-b", "brcm,bcm2712"),
        "Debian GNU/Linux 13 (trixie)",
        8_254_656,
        7_000_000,
        (("cpu-thermal", "61250"), ("rp1_adc", "58000")),
        ((512, 10, "gpio-brcmstb@107d508500"), (569, 0, "pinctrl-rp1")),
        "d04170",
        ("imx219 10-0010",),
        ("rp1-cfe-csi2_ch0", "pispbe-input"),
        "e0008",
    ),
    "jetson-orin-nano": Recorded(
        "NVIDIA Jetson Orin Nano Developer Kit",
        ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
        "Ubuntu 22.04.5 LTS",
        7_802_000,
        6_100_000,
        (("cpu-thermal", "49500"), ("tj-thermal", "50343")),
        ((316, 1, "tegra234-gpio-aon"), (348, 0, "tegra234-gpio")),
        cooling=("pwm-fan", "cpufreq-cpu0"),
        kernel="5.15.148-tegra",
        video=("vi-output, imx219 9-0010",),
    ),
    "pc": Recorded(
        None, (), "Ubuntu 24.04.1 LTS", 16_300_000, 12_000_000, (("x86_pkg_temp", "51000"),), kernel="6.8.0-49-generic"
    ),
}


def write(root: Path, files: dict[str, str]) -> None:
    """Make files with their content, by their paths below ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _devices(board: Recorded) -> dict[str, str]:
    files: dict[str, str] = {}
    for number, (kind, degrees) in enumerate(board.zones):
        zone = f"sys/class/thermal/thermal_zone{number}"
        files |= {f"{zone}/type": f"{kind}\n", f"{zone}/temp": f"{degrees}\n"}
    for number, kind in enumerate(board.cooling):
        device = f"sys/class/thermal/cooling_device{number}"
        files |= {f"{device}/type": f"{kind}\n", f"{device}/cur_state": "0\n"}
    for base, number, label in board.chips:
        chip = f"sys/class/gpio/gpiochip{base}"
        files |= {
            f"{chip}/label": f"{label}\n",
            f"{chip}/device/gpiochip{number}/uevent": "",
            f"dev/gpiochip{number}": "",
        }
    for number, sensor in enumerate(board.sensors):
        files[f"sys/class/video4linux/v4l-subdev{number}/name"] = f"{sensor}\n"
    for number, node in enumerate(board.video):
        files |= {
            f"sys/class/video4linux/video{number}/{file}": f"{text}\n"
            for file, text in (("name", node), ("index", "0"))
        }
    return files


def build(root: Path, name: str) -> Path:
    """Make the folders of a board below ``root``."""
    board = BOARDS[name]
    files = {
        "etc/os-release": f'PRETTY_NAME="{board.system}"\n',
        "proc/meminfo": f"MemTotal: {board.memory:>15} kB\nMemFree: {1000:>16} kB\nMemAvailable: {board.free:>11} kB\n",
        "proc/sys/kernel/osrelease": f"{board.kernel}\n",
        "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 38.40\n",
    }
    if board.model is None:
        files["sys/class/dmi/id/product_name"] = "NUC7i5BNK\n"
    else:
        files["proc/device-tree/model"] = f"{board.model}\0"
        files["proc/device-tree/compatible"] = "".join(f"{one}\0" for one in board.compatible)
    if board.revision:
        files["proc/cpuinfo"] += (
            f"\nRevision\t: {board.revision}\nSerial\t\t: 10000000abcdef01\nModel\t\t: {board.model}\n"
        )
    files |= _devices(board)
    if board.word:
        files["sys/devices/platform/soc/soc:firmware/get_throttled"] = f"{board.word}\n"
    write(root, files)
    return root


def plug_in_webcam(root: Path, number: int, name: str) -> None:
    """A USB camera, whose entry is a link into the tree of devices, as sysfs makes it."""
    device = f"sys/devices/pci0000:00/usb1/1-1/1-1:1.0/video4linux/video{number}"
    write(root, {f"{device}/name": f"{name}\n", f"{device}/index": "0\n", f"dev/video{number}": ""})
    link = root / f"sys/class/video4linux/video{number}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(root / device)
