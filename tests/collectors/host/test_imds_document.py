"""The identity document and the URL that names the service: what is clean comes out, and nothing else."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.host.imds import ImdsEndpoint, ImdsError, InstanceIdentity, parse_document
from tests.collectors.host.imds_server import DOCUMENT


@pytest.mark.parametrize(
    ("url", "endpoint", "text"),
    [
        ("http://169.254.169.254", ImdsEndpoint("169.254.169.254", 80), "http://169.254.169.254"),
        ("http://[fd00:ec2::254]/", ImdsEndpoint("fd00:ec2::254", 80), "http://[fd00:ec2::254]"),
        ("http://127.0.0.1:1338", ImdsEndpoint("127.0.0.1", 1338), "http://127.0.0.1:1338"),
    ],
)
def test_a_url_is_parsed_to_an_endpoint(url: str, endpoint: ImdsEndpoint, text: str) -> None:
    assert ImdsEndpoint.parse(url) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "169.254.169.254",
        "https://169.254.169.254",
        "http://",
        "http://imds.internal",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://u:p@127.0.0.1",
        "http://127.0.0.1/latest",
        "http://127.0.0.1?x",
        "http://127.0.0.1#x",
        "http://[::1",
        "ftp://127.0.0.1",
    ],
)
def test_a_url_that_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a metadata service; expected one like"):
        ImdsEndpoint.parse(url)


def test_one_bad_field_costs_only_itself() -> None:
    document = json.loads(DOCUMENT) | {"instanceType": 'x"} 1\nevil{a="', "imageId": 7, "availabilityZone": None}
    assert parse_document(json.dumps(document).encode()) == InstanceIdentity(instance_id="i-1234567890abcdef0")


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'"i-1"', b"<html>", b"[" * 60_000, b"1" * 60_000, b"\xff\xfe", b'{"instanceId": ""}']
)
def test_an_invalid_document_is_refused(body: bytes) -> None:
    with pytest.raises(ImdsError, match=r"^the answer is not an instance identity document$"):
        parse_document(body)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=80) | st.lists(st.text(max_size=3), max_size=2)
FIELDS = st.dictionaries(st.sampled_from(["instanceId", "instanceType", "availabilityZone", "imageId", "region"]), VALUES)
CUT = st.integers(0, len(DOCUMENT)).map(lambda end: DOCUMENT[:end])


@pytest.mark.fault(45)
@given(st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode()) | CUT)
def test_any_document_gives_valid_words_or_an_imds_error(body: bytes) -> None:
    try:
        instance = parse_document(body)
    except ImdsError:
        return
    words = [instance.instance_id, instance.instance_type, instance.availability_zone, instance.ami_id]
    assert any(words)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{0,64}", word) for word in words)
