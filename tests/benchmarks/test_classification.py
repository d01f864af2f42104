import pytest
from benchmarks.classification import CTRANSLATE2, HEADWAY, INT8, PIPELINE, SORTED
from benchmarks.harness import Figures

from benchmarks import classification, data, verdicts


@pytest.fixture
def section(tmp_path, monkeypatch):
    """The inference section over a test file of four texts."""
    test = tmp_path / "test.csv"
    test.write_text("text,label\na,positive\nb,negative\nc,positive\nd,negative\n")
    monkeypatch.setattr(data, "rotten_tomatoes_split", lambda *_: (test, test))
    return classification.inference(tmp_path / "model", tmp_path / "engines", threads=2, texts=4)


def page(section, figures):
    summary = verdicts.summary(section, figures)
    return summary, verdicts.markdown("Title", {"environment": {"threads": "2"}, "sections": [summary]})


def run(rate, labels="positive negative positive negative"):
    return {"rate": rate, "labels": labels.split(), "peak_memory_bytes": 300_000_000}


def test_ratios_come_first_with_their_verdict(section):
    figures = Figures()
    for rate in (100.0, 120.0, 110.0):
        figures.add(SORTED, run(100.0))
        figures.add(HEADWAY, run(rate))
    figures.add(PIPELINE, {"error": "MemoryError"})
    _, text = page(section, figures)
    lines = text.splitlines()
    assert f"| {HEADWAY} ÷ {SORTED} | **1.10 ×** | 1.00–1.20 | 1.25 × | **missed** |" in lines
    assert f"| {HEADWAY} ÷ {PIPELINE} | not measured | | 3.0 × | |" in lines
    assert f"- {PIPELINE} failed: MemoryError" in lines
    assert text.index("÷") < text.index("peak memory")


def test_int8_pays_for_its_speed_in_accuracy_and_the_page_says_so(section):
    figures = Figures()
    figures.add(SORTED, run(100.0))
    figures.add(HEADWAY, run(130.0))
    figures.add(INT8, run(210.0, "positive negative positive positive"))
    summary, text = page(section, figures)
    assert summary["int8_accuracy"] == {"points": -25.0, "promise": 0.3, "kept": False}
    assert "Headway int8's accuracy is -25.00 points from float32's (target: within 0.3, **missed**)." in text
    assert f"| {INT8} | 210 | 1 | 300 MB | 75.00% | 75.00% |  |" in text
    assert f"| {INT8} ÷ {SORTED} | **2.10 ×** | 2.10–2.10 | 2.0 × | met |" in text


def test_every_comparison_names_arms_of_its_section(section, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "rotten_tomatoes", lambda: tmp_path / "rotten_tomatoes.csv")
    monkeypatch.setattr(data, "imdb_subset", lambda: tmp_path / "imdb.csv")
    for part in (section, *classification.training(tmp_path, quick=False)):
        titles = [arm.title for arm in part.arms]
        assert len(set(titles)) == len(titles)
        assert {name for c in part.comparisons for name in (c.ours, c.theirs)} <= set(titles)


def test_logits_are_compared_with_transformers(section):
    figures = Figures()
    figures.add(SORTED, run(100.0) | {"logits": [[0.5, 1.0], [2.0, -1.0], [0.0, 1.0], [1.0, 0.0]]})
    figures.add(CTRANSLATE2, run(90.0) | {"logits": [[0.5, 1.0], [2.0, -1.25], [0.0, 1.0], [1.0, 0.0]]})
    summary, text = page(section, figures)
    assert f"| {CTRANSLATE2} | 90 | 1 | 300 MB | 100.00% | 100.00% | 2.5e-01 |" in text
    assert all("logits" not in one for arm in summary["arms"] for one in arm["runs"])


def test_missing_engines_are_named_with_how_to_install_them(monkeypatch):
    monkeypatch.setattr(classification, "PEERS", {"headway_has_no_such_engine": "Some Engine"})
    with pytest.raises(SystemExit, match=r"Some Engine, not installed here: pip install .* -e \.\[peers\]"):
        classification.require_peers()
