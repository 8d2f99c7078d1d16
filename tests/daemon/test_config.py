import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.logs.settings import LogSettings
from collectors.model import BadInput
from collectors.registry import COLLECTORS
from collectors.settings import Duration, decode_hook
from daemon import config as settings
from daemon.config_errors import errors


def test_an_empty_file_and_no_file_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.toml").touch()
    monkeypatch.setattr(settings, "DEFAULT_FILE", tmp_path / "none.toml")
    assert settings.load(tmp_path / "empty.toml") == settings.load(None)
    assert settings.load(None).web.listen_addresses == ("127.0.0.1:19100",)


def test_a_section_is_its_collectors_own_struct() -> None:
    config = settings.parse('[probe]\ntargets = ["10.0.0.5:22", "[fd00::5]:22"]\ninterval = "1m30s"\n', "f")
    probe = config.collectors["probe"]
    assert isinstance(probe, COLLECTORS["probe"].Settings)
    assert float(probe.interval) == 90.0
    assert probe.enabled


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[probe]\ntarget = []", "f: probe.target: unknown key; did you mean targets?"),
        ("[probe]\nxyz = 1", "f: probe.xyz: unknown key; expected one of enabled, interval, "),
        ("[prob]", "f: prob: unknown section; did you mean probe?"),
        ("probe = 7", "f: probe: not a section; expected [probe]"),
        ("[web]\nlisten_address = []", "f: web.listen_address: unknown key; did you mean listen_addresses?"),
        ("[web]\nlisten_addresses = []", "f: web.listen_addresses: empty; expected at least one address"),
        ("[web]\ntelemetry_path = 'metrics'", 'f: web.telemetry_path: no leading "/"; expected a path like "/metrics"'),
        ("[probe]\ninterval = 5", 'f: probe.interval: expected a duration like "5s", got 5'),
        ("[probe]\ninterval = 'soon'", "f: probe.interval: 'soon' is not a duration; expected one like \"5s\""),
        ("[probe]\ninterval = '50ms'\ntimeout = '10ms'", "f: probe.interval: too short; expected at least 100ms"),
        ("[probe]\ntimeout = '10s'", "f: probe.timeout: must be shorter than interval"),
        ("[probe]\ntargets = [22]", "f: probe.targets[0]: expected `str`, got `int`"),
        ("[probe]\ntargets = ['nowhere']", "f: probe.targets: "),
        ("[probe]\nfailures_until_critical = 0", "f: probe.failures_until_critical: must be at least 1"),
        ("[probe]\nenabled = 'yes'", "f: probe.enabled: expected `bool`, got `str`"),
        ("\n\n[probe\n", "f: line 3, column 7: "),
        ("a = 1\na = 2", "f: not TOML: "),
        ("x = " + "[" * 100_000, "f: "),
    ],
)
def test_an_error_names_file_key_and_what_is_expected(text: str, error: str) -> None:
    with pytest.raises(BadInput) as refused:
        settings.parse(text, "f")
    assert str(refused.value).startswith(error)
    assert "\n" not in str(refused.value)


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        *((name, "every", "interval") for name in COLLECTORS),
        ("probe", "syn_every", "syn_interval"),
        ("nic", "look_every", "full_scan_interval"),
        ("memory", "reach", "max_extrapolation"),
    ],
)
def test_a_renamed_key_is_refused_with_its_new_name(section: str, old: str, new: str) -> None:
    with pytest.raises(BadInput, match=f"^f: {section}.{old}: renamed to {new}$"):
        settings.parse(f'[{section}]\n{old} = "1m"\n', "f")


def test_a_renamed_key_in_another_section_is_unknown() -> None:
    with pytest.raises(BadInput, match=r"^f: dhcp\.reach: unknown key; expected one of enabled, interval, "):
        settings.parse("[dhcp]\nreach = 4.0\n", "f")


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: None, "no such file"),  # noqa: ARG005
        (Path.mkdir, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.write_bytes(b"# fine\n# \xff\n"), "line 2: invalid UTF-8"),
        (lambda path: path.write_bytes(b"#" * (5 << 20)), "5242880 bytes; expected at most 4 MiB"),
    ],
    ids=["missing", "directory", "FIFO", "device", "latin-1", "huge"],
)
def test_a_file_that_cannot_be_settings_is_refused(tmp_path: Path, make: Callable[[Path], Any], error: str) -> None:
    path = tmp_path / "vitald.toml"
    make(path)
    with pytest.raises(BadInput, match=error):
        settings.load(path)


@given(st.text(max_size=200))
@pytest.mark.fault(55)
def test_the_parser_raises_bad_input_only(text: str) -> None:
    refused = ""
    try:
        settings.parse(text, "f")
    except BadInput as error:
        refused = str(error)
    assert "\n" not in refused


@given(st.text(max_size=20))
@pytest.mark.fault(55)
def test_a_duration_raises_value_error_only(text: str) -> None:
    refused = "expected one like"
    try:
        assert Duration.parse(text) >= 0
    except ValueError as error:
        refused = str(error)
    assert "expected one like" in refused


@pytest.mark.fault(168)
@pytest.mark.parametrize("text", ["x = " + "1" * 5000, "[web]\nx = " + "9" * 100_000, "x = 0x" + "f" * 9000])
def test_a_number_of_thousands_of_digits_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput, match=r"^f: (not TOML: Exceeds|[\w.]+: unknown)") as refused:
        settings.parse(text, "f")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(("text", "seconds"), [("5s", 5), ("1h30m", 5400), ("500ms", 0.5), ("1d", 86400), ("2w1d", 1296000)])
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert Duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5m1h", "1.5h", "-5s", "5 s", "\u0665s"])
def test_durations_that_prometheus_refuses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one like"):
        Duration.parse(text)


def test_flags_win_over_the_file() -> None:
    config = settings.parse("[probe]\nenabled = false\n", "f")
    on = settings.with_flags(config, web={"telemetry_path": "/m"}, enabled={"probe": True}, disable_defaults=True)
    assert on.collectors["probe"].enabled
    assert on.web.telemetry_path == "/m"
    off = settings.with_flags(settings.parse("", "f"), web={}, enabled={}, disable_defaults=True)
    assert not any(own.enabled for own in off.collectors.values())


def test_one_section_alone_is_read_as_strictly_and_the_others_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "vitald.toml"
    path.write_text('[probe]\nno_such_key = 1\n[logs]\nsignature_dirs = ["/srv/packs"]\n')
    assert settings.load_section(path, "logs", LogSettings).signature_dirs == ("/srv/packs",)
    path.write_text("[logs]\nsignature_dir = []\n")
    with pytest.raises(BadInput, match=r"logs\.signature_dir: unknown key; did you mean signature_dirs\?"):
        settings.load_section(path, "logs", LogSettings)
    path.write_text("logs = 3\n")
    with pytest.raises(BadInput, match=r"logs: not a section; expected \[logs\]"):
        settings.load_section(path, "logs", LogSettings)
    assert settings.load_section(None, "logs", LogSettings) == LogSettings()


@pytest.mark.fault(149)
def test_every_error_of_a_file_is_named_at_once() -> None:
    text = """
[web]
listen_addresses = 7
telemetry_path = "metrics"
[probe]
targets = ["nowhere", "10.0.0.5:22", "x:99999", 5]
intervall = "5s"
interval = "nonsense"
timeout = "10s"
[logs]
journal = "maybe"
[[nic.policy]]
interface = "eth*"
mtuu = 9001
[[nic.policy]]
driver = "ena"
[[nic.policy]]
interface = "e*"
mtu = "x"
[prob]
"""
    with pytest.raises(BadInput) as refused:
        settings.parse(text, "f")
    assert [problem.partition(";")[0].partition(" (")[0] for problem in refused.value.problems] == [
        "f: web.listen_addresses: expected `array`, got `int`",
        'f: web.telemetry_path: no leading "/"',
        "f: probe.targets[3]: expected `str`, got `int`",
        "f: probe.intervall: unknown key",
        "f: probe.interval: 'nonsense' is not a duration",
        "f: probe.targets: 'nowhere' is not a target",
        "f: probe.targets: 'x:99999': port 99999 is not between 1 and 65535",
        "f: logs.journal: invalid enum value 'maybe'",
        "f: nic.policy[0].mtuu: unknown key",
        "f: nic.policy[2].mtu: expected `int | null`, got `str`",
        "f: prob: unknown section",
    ]
    assert any("expected one of auto, on, off" in problem for problem in refused.value.problems)


@given(
    st.dictionaries(
        st.sampled_from(["web", "probe", "nic", "logs", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["targets", "policy", "interval", "mtu", "enabled", "y"]), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
)
def test_any_document_is_valid_or_refused_in_lines(found: dict[str, Any]) -> None:
    try:
        msgspec.convert(found, settings.root(), dec_hook=decode_hook)
    except msgspec.ValidationError:
        lines = errors(found, settings.root(), settings.keys)
        assert lines
        assert all(line.strip() and ": " in line for line in lines)
