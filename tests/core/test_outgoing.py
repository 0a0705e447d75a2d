"""Requests to where somebody else says: what is refused, and what it may cost."""

import datetime
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from apps.core import checks, outgoing
from apps.core.outgoing import Answer, Refused, Unreached, checked_url, send
from tests.webhooks.receiver import Receiver, endlessly, receiving, slowly

pytestmark = pytest.mark.once

Names = Callable[..., list[str]]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with receiving() as started:
        yield started


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Call it with a name and what it resolves to, each time it is asked; gives the list of what
    was asked for. Numbers are resolved as ever."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def known_as(name: str, *answers: list[str]) -> list[str]:
        turns = iter(answers)

        def getaddrinfo(host: Any, port: Any, *more: Any, **named: Any) -> Any:
            if host != name or named.get("flags"):
                return real(host, port, *more, **named)
            asked.append(host)
            family = socket.AF_INET
            return [(family, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in next(turns)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return known_as


def post(url: str, seconds: float = 5.0, **more: Any) -> Answer:
    given: dict[str, Any] = {"headers": {"X-A": "b"}, "content": b"hello", "head_bytes": 100}
    return send("POST", url, seconds=seconds, **(given | more))


def test_a_request_and_its_answer(receiver: Receiver) -> None:
    receiver.answers = [(200, {"X-B": "c"})]
    answer = post(receiver.url + "?a=%20b")
    assert (answer.status, answer.headers["x-b"], answer.head) == (200, "c", b"")
    [sent] = receiver.sent
    assert (sent.path, sent.headers["x-a"], sent.body) == ("/hook?a=%20b", "b", b"hello")
    assert sent.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://example.com",
        "//example.com",
        "example.com",
        "https://",
        "https:///x",
        "http://user:word@example.com",
        "http://user@example.com",
        "http://example.com:22/",
        "http://example.com:25",
        "http://example.com:99999",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://example.com/\r\nX-Injected: 1",
        "http://exa mple.com/",
        "http://xn--a/",
        "http://example.com/" + "x" * 2000,
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"."):
        checked_url(url)
    with pytest.raises(Refused):
        post(url)


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://example.com:8080/a?b=c", "https://bücher.example/x"]
)
def test_addresses_that_are_taken(url: str) -> None:
    assert checked_url(url).host


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "100.64.0.1"])
def test_a_name_of_a_private_address_is_refused(names: Names, address: str) -> None:
    names("intra.example", [address])
    with pytest.raises(Refused, match=r"intra\.example is in no public network"):
        post("http://intra.example:8080/")


def test_a_name_that_changes_its_mind_gains_nothing(
    names: Names, receiver: Receiver, settings: Settings
) -> None:
    """The first answer is one that may be reached; the second would be another machine."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    asked = names("rebind.example", ["127.0.0.1"], ["127.0.0.2"])
    assert post(f"http://rebind.example:{receiver.port}/hook").status == 204
    assert asked == ["rebind.example"]
    assert receiver.sent[0].headers["host"] == f"rebind.example:{receiver.port}"
    with pytest.raises(Refused):
        post(f"http://rebind.example:{receiver.port}/hook")
    assert len(receiver.sent) == 1


def test_of_several_addresses_only_those_that_may_be_reached_are_tried(
    names: Names, receiver: Receiver, settings: Settings
) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.1/32", "127.0.0.3/32"]
    names("mixed.example", ["127.0.0.2", "10.0.0.1", "127.0.0.3", "127.0.0.1"])
    assert post(f"http://mixed.example:{receiver.port}/hook").status == 204


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    for status in (301, 302, 303, 307, 308):
        receiver.answers = [(status, {"Location": f"http://127.0.0.1:{receiver.port}/inner"})]
        assert post(receiver.url).status == status
    assert {sent.path for sent in receiver.sent} == {"/hook"}


def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url).status == 204


@pytest.mark.parametrize(
    "answer",
    [
        slowly(b"x"),
        slowly(b"x", b"HTTP/1.1 200 OK\r\nX-Slow: "),
        slowly(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "header", "informational"],
)
def test_an_answer_that_drips_is_given_up_in_time(receiver: Receiver, answer: Any) -> None:
    receiver.answers = [answer]
    began = time.monotonic()
    with pytest.raises(Unreached) as raised:
        post(receiver.url, seconds=0.4)
    assert raised.value.reason in ("timeout", "protocol")
    assert time.monotonic() - began < 2


def test_a_body_that_drips_costs_no_more_time_and_the_answer_counts(receiver: Receiver) -> None:
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    receiver.answers = [slowly(b"1\r\nx\r\n", start)]
    began = time.monotonic()
    answer = post(receiver.url, seconds=0.4)
    assert (answer.status, set(answer.head)) == (200, set(b"x"))
    assert time.monotonic() - began < 2


def test_of_an_endless_answer_the_first_bytes_are_read(receiver: Receiver) -> None:
    receiver.answers = [endlessly]
    assert post(receiver.url).head == b"x" * 100


def test_endless_headers_are_given_up(receiver: Receiver) -> None:
    def answer(handler: Any) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                handler.wfile.write(b"X-Long: " + b"y" * 10_000 + b"\r\n")
        except OSError:
            pass

    receiver.answers = [answer]
    with pytest.raises(Unreached) as raised:
        post(receiver.url)
    assert raised.value.reason == "protocol"


def test_nobody_there_and_no_name(settings: Settings, names: Names) -> None:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreached) as raised:
            post(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert raised.value.reason == "connect"
    with pytest.raises(Unreached) as raised:
        post("http://no-such-name.invalid/")
    assert raised.value.reason == "dns"


@pytest.mark.alone  # it measures
def test_a_resolver_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(*given: Any, **named: Any) -> Any:
        if not named.get("flags"):
            time.sleep(0.8)
        return real(*given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    began = time.monotonic()
    with pytest.raises(Unreached) as raised:
        post("http://slow.example/", seconds=0.2)
    assert raised.value.reason == "dns"
    assert time.monotonic() - began < 0.7


@pytest.mark.parametrize("name", ["OUTGOING_ALLOWED_NETWORKS", "METRICS_ALLOWED_NETWORKS"])
@pytest.mark.parametrize(
    ("networks", "is_fine"), [([], True), (["10.0.0.0/8", "::1"], True), (["10.0.0.1/8"], False)]
)
def test_networks_that_are_set_are_checked(
    settings: Settings, name: str, networks: list[str], is_fine: bool
) -> None:
    setattr(settings, name, networks)
    assert [each.id for each in checks.networks_can_be_read()] == ([] if is_fine else ["core.E001"])


# --- TLS ----------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> Path:
    """One for `name`, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Receiver, list[str | None]]]:
    """A receiver with a certificate for good.example, which is trusted, and the names that were
    asked for in TLS."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    path = certificate(tmp_path, "good.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    outgoing._tls.cache_clear()
    with receiving(context) as started:
        yield started, asked
    outgoing._tls.cache_clear()


def test_tls_is_checked_against_the_name(
    secure: tuple[Receiver, list[str | None]], names: Names
) -> None:
    receiver, asked = secure
    names("good.example", ["127.0.0.1"])
    assert post(f"https://good.example:{receiver.port}/hook").status == 204
    assert asked == ["good.example"]
    names("other.example", ["127.0.0.1"])
    with pytest.raises(Unreached) as raised:
        post(f"https://other.example:{receiver.port}/hook")
    assert raised.value.reason == "tls"
    assert len(receiver.sent) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: tuple[Receiver, list[str | None]], names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, _ = secure
    monkeypatch.delenv("SSL_CERT_FILE")
    outgoing._tls.cache_clear()
    names("good.example", ["127.0.0.1"])
    with pytest.raises(Unreached) as raised:
        post(f"https://good.example:{receiver.port}/hook")
    assert raised.value.reason == "tls"
    assert not receiver.sent
