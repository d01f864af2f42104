import json

import pytest
from benchmarks.harness import Arm, Comparison, Figures

from benchmarks import harness


def figures(**rounds):
    result = Figures()
    for arm, runs in rounds.items():
        for run in runs:
            result.add(arm, run)
    return result


def test_ratios_compare_arms_of_the_same_round():
    measured = figures(ours=[{"rate": 30.0}, {"rate": 10.0}], theirs=[{"rate": 15.0}, {"rate": 2.0}])
    assert measured.ratios(Comparison("ours", "theirs", 2.0)) == [2.0, 5.0]


def test_a_failed_run_takes_its_round_out_of_the_ratios_and_no_other():
    measured = figures(
        ours=[{"error": "out of memory"}, {"rate": 10.0}, {"rate": 12.0}],
        theirs=[{"rate": 5.0}, {"rate": 5.0}],
    )
    assert measured.ratios(Comparison("ours", "theirs", 2.0)) == [2.0]
    assert measured.errors() == {"ours": "out of memory"}
    assert measured.middle("ours") == 11.0
    assert measured.middle("nobody") is None


def test_a_comparison_may_name_another_figure():
    measured = figures(ours=[{"rate": 6.0}], ceiling=[{"rate": 10.0, "rate_first_row": 12.0}])
    assert measured.ratios(Comparison("ours", "ceiling", None, figure="rate_first_row")) == [0.5]


def test_rounds_are_interleaved_and_seeded(monkeypatch):
    calls = []

    def run_arm(name, arguments, threads):
        calls.append((name, arguments.get("seed"), threads))
        return {"rate": 1.0}

    monkeypatch.setattr(harness, "run_arm", run_arm)
    arms = [Arm("A", "a", {"seed": 5}), Arm("B", "b"), Arm("C", "c", rounds=1)]
    measured = harness.run_rounds(arms, 2, threads=3, say=lambda _: None)
    assert calls == [("a", 5, 3), ("b", None, 3), ("c", None, 3), ("a", 6, 3), ("b", None, 3)]
    assert len(measured.values("B")) == 2


def test_an_arm_runs_in_a_process_of_its_own_with_its_memory(tiny_model):
    folder, file = tiny_model
    result = harness.run_arm("matrix_ceiling", {"model": str(folder), "file": str(file), "repeats": 2}, threads=1)
    assert result["tokens_per_step"] == 32 * 5, "[CLS], three words, [SEP]"
    assert result["rate"] > 0
    assert result["rate_first_row"] > 0
    # PyTorch alone takes more than this, and the process that asks holds none of it.
    assert 50e6 < result["peak_memory_bytes"] < 5e9


def test_a_failed_arm_says_why(tmp_path):
    result = harness.run_arm("matrix_ceiling", {"model": str(tmp_path), "file": "none.csv"}, threads=1)
    assert "config.json" in result["error"]


@pytest.fixture
def tiny_model(tmp_path):
    """A folder with what the ceiling reads of a model, and a file of texts of three words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3}
    (tmp_path / "config.json").write_text(json.dumps(shape))
    file = tmp_path / "texts.csv"
    file.write_text("text,label\n" + "one two three,a\n" * 10)
    return tmp_path, file
