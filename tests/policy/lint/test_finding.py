from octelium.policy.lint.finding import Finding, Notes


def test_problems_are_noted_once() -> None:
    notes = Notes()
    notes.report("a", "do b")
    notes.report("a", "do c")
    notes.blame("ctx.request", "there is none")
    notes.blame("ctx.request", "another reason")
    assert notes.problems == {"a": "do b"}
    assert notes.blames == {"ctx.request": "there is none"}
    assert Finding("spec", "a") == Finding("spec", "a", "")
