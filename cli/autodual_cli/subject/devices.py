"""The device that `--device` names."""

from __future__ import annotations

import os

import torch

from autodual.errors import DeviceError


def find_device(name: str) -> torch.device:
    """The torch device called `name`.

    Raises:
        DeviceError: this machine, or this build of PyTorch, has none.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"'{name}' is no device; expected cpu, cuda or cuda:N.") from None
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # one device a process, where torchrun has started several
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "There is no CUDA device on this machine (or PyTorch was built without CUDA); use --device cpu."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"There is no device '{name}': this machine has {torch.cuda.device_count()} CUDA device(s).")
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"The device '{name}' is not supported; use cpu or cuda.")
    return device
