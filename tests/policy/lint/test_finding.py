from octelium.policy.lint.finding import MOST, Finding, Notes


def test_problems_are_noted_once() -> None:
    notes = Notes()
    notes.report("a", "do b")
    notes.report("a", "do c")
    notes.blame("ctx.request", "there is none")
    notes.blame("ctx.request", "another reason")
    assert notes.problems == {"a": "do b"}
    assert notes.blames == {"ctx.request": "there is none"}
    assert Finding("spec", "a") == Finding("spec", "a", "")


def test_no_more_than_anybody_reads() -> None:
    notes = Notes()
    for number in range(MOST * 2):
        notes.report(f"problem {number}")
    assert len(notes.problems) == MOST
