from __future__ import annotations

from octelium.controller.objects.settings import Settings


def test_what_holds_where_nothing_is_said() -> None:
    settings = Settings()
    assert settings.namespace == "octelium-upstreams"
    assert settings.cluster_namespace == "octelium"
    assert settings.cluster_labels == {
        "app.kubernetes.io/name": "octelium",
        "app.kubernetes.io/component": "cluster",
    }
    assert settings.name_servers == ("8.8.8.8", "1.1.1.1")
    assert settings.refused == ()
