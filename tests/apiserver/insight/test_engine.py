from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from octelium.apiserver.insight.engine import Question
from octelium.cluster.insight import Insight
from octelium.replica.replica import Replica

if TYPE_CHECKING:
    from octelium.apiserver.insight.engine import AccessEngine, Engine


def test_the_cluster_has_an_engine() -> None:
    insight = Insight(Replica(), Path("nowhere"))
    engine: Engine = insight
    whole: AccessEngine = insight
    assert [engine, whole] == [insight, insight]


def test_a_question_supposes_nothing_by_itself() -> None:
    question = Question("wiki.default")
    assert (question.session, question.user, question.request, question.at) == ("", "", None, None)
    assert question.session_fields == question.device_fields == {}
