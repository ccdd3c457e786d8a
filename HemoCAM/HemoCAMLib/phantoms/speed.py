"""``python -m HemoCAMLib.phantoms.speed``: how many virtual patients a second this machine makes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from ..errors import HemoCAMError, OptionError
from .cohort import cohort
from .patient import make_patients


def patients_a_second(device: str, count: int, seed: int = 1, size: int = 256) -> tuple[float, float]:
    """Make a cohort of ``count`` patients after one to warm up; return patients and slices a second."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise OptionError("There is no CUDA device here; use --device cpu.")
    next(make_patients(cohort(1, seed + 1, size=size), device))
    start = time.perf_counter()
    slices = sum(patient.ct.shape[0] for patient in make_patients(cohort(count, seed, size=size), device))
    took = time.perf_counter() - start
    return count / took, slices / took


def main(argv: Sequence[str] | None = None) -> int:
    """Print the speed; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m HemoCAMLib.phantoms.speed", description=__doc__)
    parser.add_argument(
        "--device", default="cpu", help="torch device: cpu, cuda, cuda:1 (default: %(default)s)"
    )
    parser.add_argument("--count", type=int, default=20, help="number of patients (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the cohort (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="rows and columns (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        if args.count < 1:
            raise OptionError(f"--count is {args.count}; give a number of 1 or more.")
        patients, slices = patients_a_second(args.device, args.count, args.seed, args.size)
    except HemoCAMError as error:
        print(error)
        return error.exit_code
    print(
        f"{args.device}: {patients:.2f} patients a second, {slices:.0f} slices of {args.size} x {args.size}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
