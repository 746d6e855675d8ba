"""What leaves the process: policy and redaction."""

from __future__ import annotations

import json

import pytest

from mida import capture
from mida.redact import Redactor


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"keep": ["x"]}, "capture.keep: no such key; valid are keep_activities"),
        ({"values": "some"}, "capture.values: 'some': want one of values, numbers, none"),
        ({"drop_fields": "used.x"}, "capture.drop_fields: 'used.x': want a list"),
        ([1], "want a mapping"),
        (
            {"drop_fields": ["password"]},
            "'password' names no field; want a full name, or a glob, that begins",
        ),
        ({"drop_fields": ["used.a", ""]}, "'' names no field"),
        ({"keep_fields": ["tags"]}, "begins with used, generated, annotations, for example 'used.tags'"),
    ],
)
def test_bad_policies_say_what_would_be_valid(config, message):
    with pytest.raises(capture.PolicyError) as caught:
        capture.Policy(config)
    assert message in str(caught.value)


def test_activities():
    policy = capture.Policy({"keep_activities": ["train*", "load"], "drop_activities": ["train_secret"]})
    names = ["train", "train_model", "train_secret", "load", "other"]
    assert [n for n in names if policy.activity(n)] == ["train", "train_model", "load"]


def test_fields():
    values = {"cfg": {"lr": 0.1, "path": "/x"}, "n": 3, "text": "t", "empty": {}}
    drop = capture.Policy({"drop_fields": ["used.cfg.path", "used.text"]})
    assert drop.fields("used", values) == {"cfg": {"lr": 0.1}, "n": 3, "empty": {}}
    keep = capture.Policy({"keep_fields": ["used.cfg", "generated.*"]})
    assert keep.fields("used", values) == {"cfg": {"lr": 0.1, "path": "/x"}}
    assert keep.fields("generated", {"loss": 1}) == {"loss": 1}
    numbers = capture.Policy({"values": "numbers"})
    assert numbers.fields("used", values)["cfg"] == {"lr": 0.1, "path": {"$object": {"type": "str"}}}
    assert capture.Policy({"values": "none"}).fields("used", values) == {"empty": {}}


@pytest.mark.parametrize("pattern", ["used.password", "*.password", "u*", "[ug]*.x", "attributes.user.name", "stdout"])
def test_names_of_fields(pattern):
    capture.Policy({"drop_fields": [pattern]})


def test_fields_inside_of_markers_have_their_own_names():
    head = {"lr": 0.1, "password": "x", "deep": {"$map": {"$int": "5"}}}
    values = {"cfg": {"$cut": {"type": "dict", "length": 9, "head": head}}, "odd": {"$map": {"$x": {"password": "x"}}}}
    drop = capture.Policy({"drop_fields": ["used.cfg.password", "used.odd.$x.password"]})
    assert drop.fields("used", values) == {
        "cfg": {"$cut": {"type": "dict", "length": 9, "head": {"lr": 0.1, "deep": {"$map": {"$int": "5"}}}}},
    }
    keep = capture.Policy({"keep_fields": ["used.cfg.lr"]})
    assert keep.fields("used", values) == {"cfg": {"$cut": {"type": "dict", "length": 9, "head": {"lr": 0.1}}}}
    none = capture.Policy({"keep_fields": ["used.other"]})
    assert none.fields("used", values) == {}
    numbers = capture.Policy({"values": "numbers"})
    assert numbers.fields("used", values)["cfg"] == {"$cut": {"type": "dict", "length": 9}}


def test_a_whole_root():
    assert capture.Policy({"drop_fields": ["used"]}).fields("used", {"a": 1}) == {}
    assert capture.Policy({"keep_fields": ["used"]}).fields("used", {"a": {"b": 1}}) == {"a": {"b": 1}}
    assert capture.Policy({"keep_fields": ["used"]}).fields("generated", {"a": 1}) == {}
    attributes = {"user.name": "ada", "process.pid": 1}
    assert capture.Policy({"drop_fields": ["attributes.user.*"]}).drop("attributes", attributes) == {"process.pid": 1}
    assert capture.Policy({"drop_fields": ["attributes"]}).drop("attributes", attributes) == {}
    custom = {"notes": {"ward": 3, "n": 1}, "text": "x"}
    numbers = {"drop_fields": ["custom.notes.ward"], "keep_fields": ["used.n"], "values": "numbers"}
    assert capture.Policy(numbers).drop("custom", custom) == {"notes": {"n": 1}, "text": "x"}
    assert capture.Policy({"keep_fields": ["used.n"], "values": "numbers"}).drop("custom", custom) == custom


def test_a_policy_file(tmp_path):
    path = tmp_path / "capture.json"
    path.write_text(json.dumps({"values": "numbers"}))
    assert capture.read_policy(str(path)) == {"values": "numbers"}
    path.write_text("{")
    with pytest.raises(capture.PolicyError, match="MIDA_CAPTURE"):
        capture.read_policy(str(path))


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    "text",
    [
        "postgres://ada:hunter2@db.example.org/x",
        "https://host/x?X-Amz-Signature=hunter2&y=1",
        "https://host/x?token=hunter2hunter2",
        "AKIAHUNTER2HUNTER2AB",
        "ghp_hunter2hunter2hunter2hunter2hunter2h",
        "Authorization: Bearer hunter2hunter2hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        "connect(password='hunter2')",
        "API_KEY=hunter2",
        JWT.replace("dozj", "hunter2"),
        '  File x\n    login(token="hunter2hunter2")\nValueError',
    ],
)
def test_secrets_in_texts(text):
    redactor = Redactor()
    out = redactor.text("before " + text + " after")
    assert "hunter2" not in out.lower() and "[redacted]" in out
    assert out.startswith("before ") and redactor.count >= 1


@pytest.mark.parametrize(
    "text",
    [
        "/data/keys/lattice_003.npz",
        "https://example.org/a/b?page=2",
        "the key idea of tokens",
        "s3://bucket/secret-garden/x.csv",
        "monkey business and basic facts",
        "KeyError: 'x'",
    ],
)
def test_ordinary_texts_stay(text):
    redactor = Redactor()
    assert redactor.text(text) == text and redactor.count == 0


def test_secrets_by_name():
    values = {
        "password": "x",
        "db": {"API_KEY": "y", "host": "h", "auth_token": ["a"]},
        "n_tokens": 5,
        "max_tokens": 5,
        "token": "abc",
        "author": "ada",
        "secret": None,
        "use_password": True,
        "key": "inc-1",
    }
    out = Redactor().mapping(values)
    mark = {"$redacted": True}
    assert out == {
        "password": mark,
        "db": {"API_KEY": mark, "host": "h", "auth_token": mark},
        "n_tokens": 5,
        "max_tokens": 5,
        "token": mark,
        "author": "ada",
        "secret": None,
        "use_password": True,
        "key": "inc-1",
    }
