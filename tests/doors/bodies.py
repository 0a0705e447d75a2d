"""Bodies that are odd, each with its media type."""

import json
import random
from typing import Any

Dice = random.Random

FIELDS = (
    *("name", "role", "email", "priority", "kept", "reason", "format", "jobs", "url", "events"),
    *("enabled", "read", "until", "kind", "expires_at", "job_finished", "message", "operation"),
    *("options", "upload_ids", "file", "password", "username", "password1", "password2", "next"),
    *("csrfmiddlewaretoken", "old_password", "new_password1", "new_password2", "organization"),
    *(
        "colours",
        "theme",
        "sidebar",
        "action",
        "ids",
        "confirm",
        "selected",
        "query",
        "typed",
        "state",
    ),
    *("_selected_action", "index", "select_across", "post", "object_id", "q", "windows", "limiter"),
)
RAW = (
    *(
        b"{",
        b"}",
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"\x00",
        b"null",
        b"[]",
        b"0",
        b'""',
        b"NaN",
        b"1e999",
    ),
    *(
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"name": "\\u0000"}',
    ),
    *(
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": -Infinity}',
        b'{"name": 1, "name": "x"}',
        b"{'a': 1}",
    ),
    *(
        "{}".encode("utf-16"),
        b'{"name": "a" /* no */}',
        b'"' + b"x" * 3_000_000 + b'"',
        b"true false",
    ),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        2**63,
        2**64,
        10**400,
        1e308,
        -0.0,
        float("nan"),
        float("inf"),
        "",
        " ",
    ),
    *(
        "\x00",
        "\ud800",
        "\u202e",
        "a" * 300,
        "a" * 70_000,
        "\U0001f600" * 100,
        "%00",
        "../..",
        "\r\n",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        {"a": {}},
        ["a"] * 300,
        [0],
        {"": ""},
        "0001-01-01T00:00:00+14:00",
        "true",
    ),
    *("9999-12-31T23:59:59-14:00", "00000000-0000-0000-0000-000000000000", "http://[", "mailto:x"),
    *(
        "http://127.0.0.1/",
        "https://\u2100.example",
        "x@y",
        "a@b\n.c",
        "owner",
        "high",
        "zip",
        "on",
        "1",
    ),
)
BOUNDARY = b"b0undary"


def json_body(dice: Dice) -> tuple[bytes, bytes]:
    if dice.random() < 0.4:
        return b"application/json", dice.choice(RAW)
    names = dice.sample(FIELDS, dice.randint(1, 4))
    return b"application/json", json.dumps({name: dice.choice(VALUES) for name in names}).encode()


def form_body(dice: Dice) -> tuple[bytes, bytes]:
    fixed = (
        b"%",
        b"=",
        b"&" * 100,
        b"a=%ff",
        b"%00=%00",
        b"a=1&" * 20_000,
        b"a=" + b"+" * 3_000_000,
    )
    if dice.random() < 0.3:
        return b"application/x-www-form-urlencoded", dice.choice(fixed)
    values = (
        b"%00",
        b"%ff",
        b"%ED%A0%80",
        b"",
        b"a" * 5000,
        b"%E2%80%AE",
        b"-1",
        b"9" * 400,
        b"on",
    )
    names = dice.sample(FIELDS, dice.randint(1, 8))
    pairs = [b"%b=%b" % (name.encode(), dice.choice(values)) for name in names]
    return b"application/x-www-form-urlencoded", b"&".join(pairs)


DISPOSITIONS = (
    *(
        b'form-data; name="file"; filename="a.txt"',
        b'form-data; name="file"; filename="../../a.txt"',
    ),
    *(
        b'form-data; name="file"; filename="a\x00.txt"',
        b'form-data; name="file"; filename=""',
        b"form-data",
    ),
    *(
        b'form-data; name=""',
        b"attachment",
        b"",
        b'form-data; name="file',
        b"form-data; name*=x''%ff",
    ),
    *(
        b"form-data; name=\"file\"; filename*=utf-8''%00",
        b"form-data; name=\"file\"; filename*=nothing''a",
    ),
    *(
        b'form-data; name="file"; filename="' + b"a" * 5000 + b'"',
        b'form-data; name="name"',
        b"\xff",
    ),
    *(
        b'form-data; name="options"',
        b'form-data; name="upload_ids"',
        b'form-data; name="_charset_"',
    ),
    b'form-data; name="file"; filename="\xe2\x80\xaetxt.exe"',
)
MORE = (
    *(
        b"",
        b"Content-Type: text/plain; charset=nothing\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
    ),
    *(b"Content-Type: \xff\r\n", b"X: " + b"y" * 20_000 + b"\r\n", b"no header at all\r\n"),
)


def multipart_body(dice: Dice) -> tuple[bytes, bytes]:
    count = dice.choice([0, 1, 1, 1, 2, 2, 60, 3000])
    contents = (b"", b"text", b"\x00\xff", b"{", b"!!!", b"nothing", b"%PDF-1.4", b"9" * 3000)
    parts = [
        b"--%b\r\nContent-Disposition: %b\r\n%b\r\n%b\r\n"
        % (BOUNDARY, dice.choice(DISPOSITIONS), dice.choice(MORE), dice.choice(contents))
        for _ in range(count)
    ]
    end = dice.choice(
        [b"--%b--\r\n" % BOUNDARY, b"--%b--\r\n" % BOUNDARY, b"", b"--b0und", b"--\r\n"]
    )
    media_types = (
        *(b"multipart/form-data; boundary=b0undary",) * 6,
        *(
            b"multipart/form-data",
            b"multipart/form-data; boundary=other",
            b'multipart/form-data; boundary="',
        ),
    )
    return dice.choice(media_types), b"".join(parts) + end
