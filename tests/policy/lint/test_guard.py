from octelium.policy.cel.environment import check
from octelium.policy.lint.guard import guards


def test_paths_that_are_asked_for() -> None:
    root = check('has(ctx.a.b) && ctx.c.exists(x, has(x.d)) || [{"k": has(ctx["e"].f)}] == []').root
    expected = {check(text).root for text in ("ctx.a.b", "ctx.e.f")}
    found = guards(root)
    assert expected < found
    assert len(found) == 3
    assert guards(check("ctx.a.b == 1").root) == frozenset()
