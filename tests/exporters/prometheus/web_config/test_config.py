"""Web config file: what the exporter-toolkit accepts is accepted, errors have file, key and expected value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collectors.model import BadInput
from exporters.prometheus.web_config.config import read_web_config
from exporters.prometheus.web_config.reloader import check_web_config

if TYPE_CHECKING:
    from pathlib import Path

ALICE = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
        TLS,
        TLS + "  min_version: TLS13\n  prefer_server_cipher_suites: false\n",
        TLS + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n  max_version: TLS12\n",
        TLS + "  cipher_suites:\n  - TLS_AES_128_GCM_SHA256\n",
        TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [a.internal, fd00::5]\n",
        TLS + "  client_auth_type: RequestClientCert\n",
        TLS + "  client_ca: ''\n",
        f"basic_auth_users:\n  alice: {ALICE}\n  no: {ALICE}\n  123: {ALICE}\n",
        "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    X-Content-Type-Options:\n    X-XSS-Protection:\n",
    ],
)
def test_files_that_the_toolkit_accepts_are_accepted(web: Any, text: str) -> None:
    check_web_config(web(text))


def test_inline_certificates_are_accepted(web: Any, pki: Any) -> None:
    parts = {"cert": "server.crt", "key": "server.key", "client_ca": "ca.crt"}
    lines = [
        f"  {key}: |\n" + "".join(f"    {line}\n" for line in (pki.folder / name).read_text().splitlines()) for key, name in parts.items()
    ]
    check_web_config(web("tls_server_config:\n  client_auth_type: VerifyClientCertIfGiven\n" + "".join(lines)))


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tls_server_config: {crt_file: x}", r"unknown field `crt_file`.*tls_server_config"),
        ("tls_serverconfig: {}", "unknown field `tls_serverconfig`"),
        ("[1, 2]", "not a mapping"),
        ("just words", "not a mapping"),
        ("a: {\n b", "line 2"),
        ("a: 1\na: 2\n", "line 1: 'a' is given twice"),
        ("\x00", "not YAML"),
        ("tls_server_config: 5", r"Expected `object`.*tls_server_config"),
        ("http_server_config: {http2: maybe}", r"Expected `bool`.*http2"),
        ("rate_limit: {burst: 5}", "rate_limit: not supported"),
        (TLS + "  curve_preferences: [X25519]\n", "curve_preferences: not supported"),
        ("tls_server_config: {cert_file: server.crt}", r"tls_server_config: key_file \(or key\) is missing"),
        ("tls_server_config: {key_file: server.key}", r"tls_server_config: cert_file \(or cert\) is missing"),
        ("tls_server_config: {min_version: TLS13}", r"cert_file \(or cert\) is missing"),
        (TLS.replace("server.crt", "none.crt"), r"tls_server_config.cert_file: .*/none.crt: No such file"),
        (TLS.replace("server.crt", "."), "cert_file.*not a regular file"),
        (TLS.replace("server.crt", "server.key"), r"tls_server_config: not usable \(.*\); expected certificate and unencrypted key"),
        (TLS.replace("server.crt", "web.yml"), "tls_server_config.cert: no PEM in it"),
        (TLS.replace("server.key", "client.key"), "the key does not belong to the certificate"),
        (TLS + "  cert: x\n", "tls_server_config.cert: given twice"),
        (TLS + "  min_version: TLS11\n", "min_version: 'TLS11': not supported; expected TLS12 or TLS13"),
        (TLS + "  max_version: TLS10\n", "max_version: 'TLS10': not supported; expected TLS12 or TLS13"),
        (TLS + "  min_version: TLS13\n  max_version: TLS12\n", "min_version: TLS13 is above max_version TLS12"),
        (TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", "cipher_suites: 'TLS_RSA_WITH_RC4_128_SHA' is unknown"),
        (TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  max_version: TLS12\n", "only TLS 1.3 suites"),
        (TLS + "  client_auth_type: RequireAnyClientCert\n", "RequireAnyClientCert: Python's ssl cannot"),
        (TLS + "  client_auth_type: Whatever\n", "client_auth_type: 'Whatever': unknown; expected one of NoClientCert"),
        (TLS + "  client_ca_file: ca.crt\n", "client_auth_type: NoClientCert, but there is a client_ca"),
        (
            TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.key\n",
            "client_ca: not usable; expected a certificate",
        ),
        (
            TLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [x]\n",
            "client_allowed_sans: needs tls_server_config.client_auth_type; expected",
        ),
        ("basic_auth_users: {alice: secret}", "basic_auth_users.'alice': not a bcrypt hash"),
        ("basic_auth_users:\n  alice:\n", "basic_auth_users.'alice': not a bcrypt hash"),
        (f"basic_auth_users: {{alice: {ALICE.replace('$10$', '$31$')}}}", "a bcrypt cost of 31"),
        (f"basic_auth_users: {{'a:b': {ALICE}}}", "no colon"),
        (f'basic_auth_users: {{"\\ud800": {ALICE}}}', "invalid Unicode character escape"),
        ("http_server_config: {headers: {Server: x}}", "'Server': cannot be set"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "expected deny or sameorigin"),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: a"}}', "cannot carry"),
    ],
)
def test_errors_have_file_key_and_expected_value(web: Any, text: str, reason: str) -> None:
    path = web(text)
    with pytest.raises(BadInput, match=reason) as refused:
        check_web_config(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.fault(30)
def test_an_encrypted_key_is_an_error_without_a_prompt(web: Any, pki: Any) -> None:
    path = web(TLS)
    command = ("ec", "-in", path.parent / "server.key", "-aes128", "-passout", "pass:x", "-out", path.parent / "server.key")
    pki._openssl(*command)
    with pytest.raises(BadInput, match="unencrypted"):
        check_web_config(path)


@pytest.mark.fault(30)
def test_files_that_are_missing_endless_or_too_large_are_errors(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    large = tmp_path / "large"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    for path, reason in ((tmp_path / "none", "No such file"), (fifo, "not a regular"), (tmp_path, "not a regular"), (large, "1 MiB")):
        with pytest.raises(BadInput, match=reason):
            check_web_config(path)


KEYS = [
    "tls_server_config",
    "basic_auth_users",
    "http_server_config",
    "headers",
    "cert",
    "key",
    "client_allowed_sans",
    "http2",
    ALICE,
    "<<",
]
LEAF = (
    st.sampled_from([*KEYS, "TLS12", "", "-----BEGIN CERTIFICATE-----", "\ud800", "\0"]) | st.text(max_size=9) | st.integers() | st.none()
)
TREE = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAF, inner, max_size=3), max_leaves=9)


@pytest.mark.fault(55)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    content=st.binary(max_size=200)
    | TREE.map(lambda tree: repr(tree).encode("utf-8", "surrogatepass"))
    | st.dictionaries(st.sampled_from(KEYS), TREE, min_size=1).map(lambda tree: repr(tree).encode("utf-8", "surrogatepass"))
)
@example(content=b"&a [*a]")
@example(content=b"&a {b: *a}")
@example(content=b"? [a, b]\n: c\n")
@example(content=b"{" * 10_000)
@example(content=b"tls_server_config: &a {cert: *a}")
@example(content=b"basic_auth_users: &a {b: *a}")
@example(content=b"\xff\xfe")
@example(content=b"!!python/object/apply:os.system ['false']")
def test_any_bytes_are_valid_or_a_bad_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.yml"
    path.write_bytes(content)
    try:
        read_web_config(path)
    except BadInput as refused:
        assert "\n" not in str(refused)  # noqa: PT017 — both outcomes are right
