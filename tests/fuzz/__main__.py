"""Damages small real files in every way that chance finds, and reads them: only success or a HeadwayError counts.

    python -m tests.fuzz --seconds 600 [--seed 1] [--only data] [--output fuzz-failures]

The readers run in a child process that is watched: another exception, a crash, a hang or too much memory is a failure.
Of each kind of failure the smallest case is kept, as files to read again and a traceback. The same seed gives the same
cases.
"""

import argparse
import os
from pathlib import Path

from tests.fuzz.watching import fuzz


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["models", "texts", "data", "all"], default="all")
    parser.add_argument("--output", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    number, found = fuzz(**vars(options))
    print(f"{number} cases, {sum(found.values())} failures: {dict(found)}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
