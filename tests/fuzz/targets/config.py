"""Targets of files that people and other programs write: settings, target lists, and addresses."""

from __future__ import annotations

import json
from mmap import mmap
from pathlib import Path

from collectors.model import BadInput, CollectorContext
from collectors.probe.targets import file_sd, target
from collectors.probe.targets.self_identity import read_self_identity
from daemon import config
from tests.fuzz.target import PART, ROOT, Target, divide, put, scratch, text

_PROBE = "collectors.probe.targets."


def _settings(data: bytes) -> None:
    found = config.parse(text(data), "vitald.toml")
    assert found.collectors


def _mapped(data: bytes) -> mmap:
    mapped = mmap(-1, len(data) or 1)
    mapped.write(data)
    return mapped


def _file_sd_json(data: bytes) -> None:
    """What is accepted, the standard library reads the same."""
    groups = tuple(file_sd.parse_groups(Path("x.json"), _mapped(data)))
    expected = json.loads(data.rstrip(b"\0"))
    assert [list(group.targets) for group in groups] == [group.get("targets") or [] for group in expected]
    assert [group.labels for group in groups] == [group.get("labels") or {} for group in expected]


def _file_sd_yaml(data: bytes) -> None:
    for group in file_sd.parse_groups(Path("x.yml"), _mapped(data)):
        assert all(isinstance(name, str) for name in group.targets)


def _file_sd_file(data: bytes) -> None:
    file_sd.read(put("targets.json", data))


def _target(data: bytes) -> None:
    found = target.parse(text(data))
    assert found.text == text(data)
    assert 0 < found.port <= 65535
    assert found.address is None or found.address.sockaddr[0] == found.host


def _self_identity(data: bytes) -> None:
    trie, inet6, hostname = divide(data, 3)
    for name, content in (("net/fib_trie", trie), ("net/if_inet6", inet6), ("sys/kernel/hostname", hostname)):
        put(f"self/proc/{name}", content)
    found = read_self_identity(CollectorContext(proc=scratch() / "self/proc", sys=scratch() / "self/sys", root=scratch() / "self"))
    assert all(len(address) in {4, 16} for address in found.addresses)
    found.among(["10.0.0.5", "[fd00::5]", "web1.example", "web1"])


_GROUPS = [{"targets": ["10.0.0.5:22", "[fd00::5]:22", "db1.internal:5432"], "labels": {"zone": "a", "x": "é"}}, {"targets": []}]
_LIST = b"- targets: [10.0.0.5:22, 'db1:5432']\n  labels: {zone: a}\n- targets: &t\n  - a:1\n- targets: *t\n"

TARGETS = (
    Target("config.settings", ("daemon.config", "daemon.config_errors", "collectors.toml_reader"), _settings, lambda: [
        *(path.read_bytes()[:4000] for path in sorted((ROOT / "systemd").rglob("*.toml"))), b"[probe]\ntargets = ['a:1']\ninterval = '5s'\n", b"[web]\nsocket = 5\nx = 1\n[logs]\nfiles = [1]\n",
        b"[probe]\nevery = '1s'\n[[probe]]\n",
    ], allowed=(BadInput,), seconds=1.0, most=1 << 16, words=(b"[probe]\n", b"[web]\n", b"[logs]\n", b"[nic]\n", b"targets = ", b"interval = ", b"= 1979-05-27T07:32:00Z", b'"""', b"inf", b"[[")),
    Target("config.file_sd_json", (_PROBE + "file_sd",), _file_sd_json, lambda: [json.dumps(_GROUPS).encode(), b"[]", b'{"targets": []}', b'[{"targets": null}]'],
           allowed=(BadInput,), seconds=1.0, words=(b'"targets"', b'"labels"', b"null", b":22")),
    Target("config.file_sd_yaml", (_PROBE + "file_sd", "collectors.yaml_reader"), _file_sd_yaml, lambda: [_LIST, b"- {targets: [a:1]}\n", b"[]", b"a: b", b"%YAML 1.2\n---\n- targets:\n"],
           allowed=(BadInput,), seconds=2.0, most=1 << 16, words=(b"- targets:", b"  labels:", b"&a ", b"*a", b"!!python/name:x", b"<<: ")),
    Target("config.file_sd_file", (_PROBE + "file_sd",), _file_sd_file, lambda: [json.dumps(_GROUPS).encode(), b" \0"], allowed=(BadInput,), seconds=1.0),
    Target("config.target", (_PROBE + "target",), _target, lambda: [b"10.0.0.5:22", b"[fd00::5]:22", b"db1.internal:5432", b"[fe80::1%eth0]:1", b"10.1:5", b"a..b:1"],
           allowed=(BadInput,), length=320, most=1024, seconds=0.05),
    Target("config.self_identity", (_PROBE + "self_identity",), _self_identity, lambda: [
        b"           |-- 10.0.0.5\n              /32 host LOCAL\n" + PART + b"fd000000000000000000000000000005 02 80 00 80     eth0\n" + PART + b"web1\n",
    ], seconds=1.0),
)  # fmt: skip
