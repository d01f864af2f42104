"""Cases, read by a child process that is watched, and the smallest of each kind of failure."""

import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.bases import make_bases
from tests.fuzz.reading import Problem, Steps, build, work

SECONDS_PER_CASE = 10


class Watched:
    """A child that reads, begun again when it dies."""

    def __init__(self, bases: Path, folder: Path) -> None:
        self.bases, self.folder = bases, folder
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("fork")  # the libraries are loaded once
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, self.bases, self.folder), daemon=True)
        self.process.start()
        theirs.close()
        assert self.pipe.recv() == "ready"

    def stop(self) -> None:
        self.process.kill()
        self.process.join()

    def read(self, base: str, steps: Steps) -> Problem | None:
        self.pipe.send((base, steps))
        problem: Problem | None
        if not self.pipe.poll(SECONDS_PER_CASE):
            problem = ("hang", f"no answer for {SECONDS_PER_CASE} seconds")
        else:
            try:
                return self.pipe.recv()
            except EOFError:
                self.process.join()
                problem = (f"crash {self.process.exitcode}", f"the process ended with {self.process.exitcode}")
        self.stop()
        self.start()
        return problem

    def smallest(self, base: str, steps: Steps, problem: Problem) -> Steps:
        """As few of the damages as give the same kind of failure."""
        for step in list(steps):
            fewer = [other for other in steps if other != step]
            again = self.read(base, fewer) if fewer else None
            if again is not None and again[0] == problem[0]:
                steps = fewer
        return steps


def fuzz(*, seconds: float, cases: int | None, seed: int, only: str, output: Path) -> tuple[int, Counter[str]]:
    """Try cases until the time or their number is over: how many, and the failures by kind."""
    found: Counter[str] = Counter()
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        bases = Path(scratch, "bases")
        bases.mkdir()
        names = make_bases(bases, only)
        watched = Watched(bases, Path(scratch, "case"))
        number, end = 0, time.monotonic() + seconds
        while time.monotonic() < end and number != cases:
            number += 1
            base = draw.choice(names)
            steps = [draw.getrandbits(48) for _ in range(draw.choice([1, 1, 1, 2, 4]))]
            problem = watched.read(base, steps)
            if problem is None:
                continue
            found[problem[0]] += 1
            if found[problem[0]] == 1:
                place = output / problem[0].replace(" ", "-").replace(":", "-")
                steps = watched.smallest(base, steps, problem)
                build(bases, base, steps, place)
                (place / "failure.txt").write_text(f"{base} {steps}\n\n{problem[1]}", "utf-8", "backslashreplace")
                print(f"{problem[0]}: {place}\n{problem[1][-1500:]!a}", file=sys.stderr, flush=True)
        watched.stop()
    return number, found
