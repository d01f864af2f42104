"""`headway predict --stream`, where it cannot be."""


def test_a_model_that_answers_with_labels_says_in_a_sentence_that_it_cannot_stream(trained, headway_command):
    done = headway_command("predict", trained, "I love it", "--stream")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "headway: --stream: A text classification model does not write its answers; use predict.\n"


def test_it_takes_one_input(trained, headway_command):
    done = headway_command("predict", trained, "one", "two", "--stream")
    assert done.returncode == 2
    assert "give one input" in done.stderr
