"""Clocks that wait for the device."""

import torch

__all__ = ["synchronize"]


def synchronize(device: str | torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
