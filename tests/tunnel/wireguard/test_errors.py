from octelium.tunnel.wireguard.errors import ConfigurationError, HandshakeError


def test_a_bad_setting_is_a_bad_value_and_a_bad_message_is_not() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert not issubclass(HandshakeError, ValueError)
