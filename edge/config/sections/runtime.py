"""Settings of what runs the models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge.config.section import EDGE_TPU, Section


class RuntimeSettings(Section):
    """What runs the models."""

    backend: Literal["auto", "litert", "tflite-runtime", "tensorflow"] = Field(
        "auto", description="TFLite runtime; auto takes the first one that is installed, in this order"
    )
    precision: Literal["auto", "int8", "float16"] = Field(
        "auto",
        description="Of the face model on the processor; auto: float16 on x86-64 without int8 dot products, else int8",
    )
    accelerator: Literal["auto", "edgetpu", "cpu"] = Field(
        "auto", description="auto uses an Edge TPU if there is one; edgetpu also reports a problem if there is none"
    )
    device: str = Field("", pattern=EDGE_TPU, description="Which Edge TPU to use: usb:0, pci:1; empty: the first")
    edgetpu_library: str = Field("libedgetpu.so.1", min_length=1, description="Name or path of the Edge TPU library")
    threads: int = Field(0, ge=0, le=16, description="Threads per model; 0: what suits the board, at most 4")
