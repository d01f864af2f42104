"""The metrics of texts that answer texts or images, by sacrebleu."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from headway.evaluation.metrics.metric import FloatArray, IntArray, MetricInfo, sums
from headway.examples.examples import Example, Examples

__all__ = ["ChrfMetrics"]


class ChrfMetrics:
    """chrF (Popović 2015) of a corpus, with one or several references per example.

    The statistics of an example are sacrebleu's: for each n-gram order the n-grams of the answer, those of the
    reference that fits best, and the matches. Summed over the rows they give exactly `sacrebleu.corpus_chrf`. Behind
    them stands the number of references, which the signature tells.

    Args:
        references: Returns the references of an example: a text, or several.
        word_order: 0 for chrF, 2 for chrF++.
    """

    def __init__(self, references: Callable[[Any], str | Sequence[str]], *, word_order: int = 0) -> None:
        self.references = references
        self.word_order = word_order

    @cached_property
    def infos(self) -> tuple[MetricInfo, ...]:
        """What the metric is."""
        name = "chrF" + "+" * self.word_order
        what = "characters" if not self.word_order else "characters and words"
        return (
            MetricInfo(
                name.lower().replace("+", "p"),
                name,
                False,
                f"How many short runs of {what} the answers share with the references, as an F-score that weights "
                "recall twice, over all rows together. 100 is perfect.",
                hub_name="chrf",
                best=100.0,
                decimals=1,
            ),
        )

    @property
    def needs_answers(self) -> bool:
        """True: answers have to be generated."""
        return True

    def context(self, rows: Examples) -> None:
        """Nothing: a row's statistics do not depend on the others."""

    def statistics(self, answer: str, example: Example, context: object = None) -> FloatArray:
        """The n-gram counts of one answer, and how many references there are. *Shape:* (3 · orders + 1,)."""
        references = self.references(example)
        streams = [[reference] for reference in ([references] if isinstance(references, str) else references)]
        counts = self._chrf._extract_corpus_statistics([answer], streams)[0]
        return np.array([*counts, len(streams)], dtype=np.float64)

    def values(self, statistics: FloatArray, draws: Iterable[IntArray]) -> dict[str, FloatArray]:
        """ChrF of each draw, from 0 to 100. *Shape:* (draws,)."""
        scores = [self._chrf._compute_f_score(total.tolist()) for total in sums(statistics[:, :-1], draws)]
        return {self.infos[0].name: np.array(scores)}

    def signatures(self, statistics: FloatArray) -> dict[str, str]:
        """What sacrebleu calls this metric on so many references."""
        from sacrebleu.metrics import CHRF

        counts = set(statistics[:, -1].astype(int).tolist())
        chrf = CHRF(word_order=self.word_order)
        chrf.num_refs = counts.pop() if len(counts) == 1 else -1  # it prints -1 as "var"
        return {self.infos[0].name: str(chrf.get_signature())}

    @cached_property
    def _chrf(self) -> Any:
        from sacrebleu.metrics import CHRF  # takes a tenth of a second, which other tasks need not wait for

        return CHRF(word_order=self.word_order)
