"""TLS: what is accepted, what is refused, and that each refusal says what to do."""

from __future__ import annotations

import socket
import ssl
import time
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from brokers import Mosquitto
from certificates import Authority, Certificate

from edge_worker.common.errors import ConfigError
from edge_worker.config.mqtt import TlsConfig
from edge_worker.config.tls_context import certificate_expiries, make_context
from edge_worker.mqtt.events import Connected, Published, Subscribed, Unreachable
from edge_worker.mqtt.message import Outgoing, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from links import Watched

# paho forgets a socket whose handshake failed; it is closed when the error is forgotten, too, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

LOCAL = "IP:127.0.0.1,DNS:localhost"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the broker and its clients."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    """A broker of this machine."""
    return authority.issue("server", alt_names=LOCAL)


@pytest.fixture
def make_tls_broker(make_mosquitto: Callable[..., Mosquitto], authority: Authority) -> Callable[..., Mosquitto]:
    """Starts a mosquitto that shows the certificate given, with more lines of configuration."""

    def make(server: Certificate, *lines: str) -> Mosquitto:
        files = [f"certfile {server.cert}", f"keyfile {server.key}", f"cafile {authority.cert}"]
        return make_mosquitto(*files, *lines)

    return make


@pytest.fixture
def tls_broker(make_tls_broker: Callable[..., Mosquitto], server: Certificate) -> Mosquitto:
    """A broker with TLS that any client may connect to."""
    return make_tls_broker(server)


@pytest.mark.mosquitto
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_authority_is_trusted_when_named(
    tls_broker: Mosquitto, make_link: Callable[..., Watched], authority: Authority, host: str
) -> None:
    """By address and by name; TLS 1.3 at least, if that is asked for; large messages pass both ways."""
    tls = TlsConfig(ca_file=authority.cert, min_version="1.3")
    watched = make_link(tls_broker.port, host=host, tls=tls, subscriptions=[Subscription("out", 1)]).ready()
    payload = bytes(range(256)) * 8000
    watched.link.publish(Outgoing("out", payload))
    assert watched.message().payload == payload
    assert watched.wait_for(Published).ok


@pytest.mark.mosquitto
def test_an_unknown_authority_is_refused(
    tls_broker: Mosquitto, make_link: Callable[..., Watched], tmp_path: Path
) -> None:
    """Neither the system's CAs nor another private one make the broker trusted."""
    for tls in (TlsConfig(), TlsConfig(ca_file=Authority(tmp_path / "other").cert)):
        reason = make_link(tls_broker.port, tls=tls).start().wait_for(Unreachable).reason
        assert "certificate is not accepted" in reason


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "elsewhere", "alt_names": "DNS:elsewhere.example"}, "mismatch"),
        ({"name": "expired", "alt_names": LOCAL, "days": -1}, "expired"),
    ],
)
def test_a_wrong_certificate_is_refused(
    make_tls_broker: Callable[..., Mosquitto],
    make_link: Callable[..., Watched],
    authority: Authority,
    options: dict[str, Any],
    words: str,
) -> None:
    """Another host's, or one past its time, even from the right authority."""
    broker = make_tls_broker(authority.issue(**options))
    watched = make_link(broker.port, tls=TlsConfig(ca_file=authority.cert)).start()
    assert words in watched.wait_for(Unreachable).reason
    assert watched.link.healthy()


@pytest.mark.mosquitto
def test_verification_can_be_turned_off_and_says_so_loudly(
    make_tls_broker: Callable[..., Mosquitto],
    make_link: Callable[..., Watched],
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For a first try; never without a warning."""
    broker = make_tls_broker(authority.issue("nobody", alt_names="DNS:nobody.example"))
    make_link(broker.port, tls=TlsConfig(verify=False)).ready()
    assert "NOT verified" in capsys.readouterr().out


@pytest.mark.mosquitto
@pytest.mark.parametrize("password", ["", "secret"])
def test_a_client_certificate_is_shown(
    make_tls_broker: Callable[..., Mosquitto],
    make_link: Callable[..., Watched],
    authority: Authority,
    server: Certificate,
    password: str,
) -> None:
    """Its key may be encrypted, with the password in a file."""
    broker = make_tls_broker(
        server, "require_certificate true", "use_identity_as_username true", "allow_anonymous false"
    )
    own = authority.issue(f"worker{len(password)}", key_password=password)
    files: dict[str, Any] = {"ca_file": authority.cert, "cert_file": own.cert, "key_file": own.key}
    if password:
        files["key_password_file"] = own.key.with_suffix(".password")
        files["key_password_file"].write_text(password + "\n")
    make_link(broker.port, tls=TlsConfig(**files)).start().wait_for(Connected)


@pytest.mark.mosquitto
def test_a_missing_client_certificate_is_named(
    make_tls_broker: Callable[..., Mosquitto],
    make_link: Callable[..., Watched],
    authority: Authority,
    server: Certificate,
) -> None:
    """With TLS 1.3 the refusal comes after the handshake, and may be lost; the operator is told what to look at."""
    broker = make_tls_broker(server, "require_certificate true")
    watched = make_link(broker.port, tls=TlsConfig(ca_file=authority.cert)).start()
    assert "mqtt.tls.cert_file" in watched.wait_for(Unreachable).reason


@pytest.mark.mosquitto
@pytest.mark.parametrize("flaw", ["expired", "of another authority"])
def test_a_client_certificate_that_the_broker_refuses_is_named(
    make_tls_broker: Callable[..., Mosquitto],
    make_link: Callable[..., Watched],
    authority: Authority,
    server: Certificate,
    flaw: str,
) -> None:
    """It is tried again all the same: the certificate may be renewed under the same name."""
    issuer = authority if flaw == "expired" else Authority(authority.cert.parent / "other")
    own = issuer.issue("outsider", days=-1 if flaw == "expired" else 2)
    broker = make_tls_broker(server, "require_certificate true")
    files: dict[str, Any] = {"ca_file": authority.cert, "cert_file": own.cert, "key_file": own.key}
    watched = make_link(broker.port, tls=TlsConfig(**files)).start()
    assert "mqtt.tls.cert_file" in watched.wait_for(Unreachable).reason
    good = authority.issue("renewed")
    own.cert.write_bytes(good.cert.read_bytes())
    own.key.write_bytes(good.key.read_bytes())
    watched.wait_for(Connected)


@pytest.mark.mosquitto
def test_plain_text_to_a_tls_port_and_the_other_way_round_fail_without_harm(
    tls_broker: Mosquitto, make_link: Callable[..., Watched], authority: Authority, tmp_path: Path
) -> None:
    """The two most common mistakes with ports."""
    watched = make_link(tls_broker.port).start()
    assert "does it expect TLS" in watched.wait_for(Unreachable).reason
    (tmp_path / "plain").mkdir()
    with Mosquitto(tmp_path / "plain") as plain:
        watched = make_link(plain.port, tls=TlsConfig(ca_file=authority.cert)).start()
        assert "is mqtt.port the one with TLS" in watched.wait_for(Unreachable).reason


@pytest.mark.mosquitto
def test_certificates_are_read_anew_at_each_attempt(
    tls_broker: Mosquitto, make_link: Callable[..., Watched], authority: Authority, tmp_path: Path
) -> None:
    """A renewed authority serves without a restart."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority(tmp_path / "old").cert.read_bytes())
    watched = make_link(tls_broker.port, tls=TlsConfig(ca_file=ca_file)).start()
    watched.wait_for(Unreachable)
    ca_file.write_bytes(authority.cert.read_bytes())
    watched.wait_for(Subscribed)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"ca_file": "missing"}, "mqtt.tls.ca_file"),
        ({"ca_file": "no-pem"}, "mqtt.tls.ca_file"),
        ({"cert_file": "missing"}, "mqtt.tls.cert_file"),
        ({"cert_file": "x" * 300}, "mqtt.tls.cert_file"),
        ({"cert_file": "no-pem"}, "mqtt.tls.cert_file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, fields: dict[str, str], key: str) -> None:
    """At the start, with its key in the configuration, before anything is opened."""
    (tmp_path / "no-pem").write_text("nothing of use")
    tls = TlsConfig(**{name: tmp_path / value for name, value in fields.items()})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=next(iter(fields.values()))) as raised:
        make_context(tls)
    assert raised.value.key == key


def test_a_key_that_cannot_be_read_is_named(authority: Authority, tmp_path: Path) -> None:
    """Not the certificate, which can."""
    with pytest.raises(ConfigError, match=r"cannot read .*/missing: ") as raised:
        make_context(TlsConfig(cert_file=authority.issue("own").cert, key_file=tmp_path / "missing"))
    assert raised.value.key == "mqtt.tls.key_file"


def test_an_encrypted_key_without_password_does_not_ask_on_the_terminal(authority: Authority) -> None:
    """A daemon that asks waits for ever."""
    own = authority.issue("locked", key_password="secret")  # noqa: S106 - of a key made for this test
    with pytest.raises(ConfigError, match="key_password_file"):
        make_context(TlsConfig(cert_file=own.cert, key_file=own.key))


def test_a_password_of_a_key_that_cannot_be_read_is_named(authority: Authority, tmp_path: Path) -> None:
    """The key of the configuration, and the file."""
    own = authority.issue("sealed", key_password="secret")  # noqa: S106 - of a key made for this test
    with pytest.raises(ConfigError, match=r"key_password_file: the file .*missing cannot be read"):
        make_context(TlsConfig(cert_file=own.cert, key_file=own.key, key_password_file=tmp_path / "missing"))


def test_a_link_with_unusable_certificates_does_not_start(make_link: Callable[..., Watched], tmp_path: Path) -> None:
    """A configuration error, not an endless row of attempts."""
    with pytest.raises(ConfigError):
        make_link(1, tls=TlsConfig(ca_file=tmp_path / "missing")).start()


def test_the_dates_of_certificates_are_read(authority: Authority, tmp_path: Path) -> None:
    """Also that of one that has expired; a file that is none, or not there, is left out."""
    old = authority.issue("old", days=-1)
    expiries = certificate_expiries(TlsConfig(ca_file=authority.cert, cert_file=old.cert, key_file=old.key))
    in_days = {key: (expiry - time.time()) / 86_400 for key, expiry in expiries.items()}
    assert in_days == {"ca_file": pytest.approx(2, abs=0.1), "cert_file": pytest.approx(-1, abs=0.1)}
    (tmp_path / "words").write_text("no certificate")
    assert certificate_expiries(TlsConfig(ca_file=tmp_path / "words", cert_file=tmp_path / "missing")) == {}
    assert certificate_expiries(TlsConfig()) == certificate_expiries(None) == {}


@pytest.mark.parametrize("alpn", [None, "x-amzn-mqtt-ca"])
def test_the_protocol_for_a_shared_port_is_offered(
    make_link: Callable[..., Watched], authority: Authority, server: Certificate, alpn: str | None
) -> None:
    """By ALPN, as AWS IoT wants it on port 443; a broker of that port turns away who offers none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert, server.key)
    context.set_alpn_protocols(["h2", "x-amzn-mqtt-ca"])
    chosen: SimpleQueue[str | None] = SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                chosen.put(connection.selected_alpn_protocol())

        Thread(target=serve, daemon=True).start()
        make_link(listener.getsockname()[1], tls=TlsConfig(ca_file=authority.cert, alpn=alpn)).start()
        assert chosen.get(timeout=10.0) == alpn
