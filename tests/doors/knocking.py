"""Requests as no client library would send them: bytes for a socket, by a seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.doors import bodies
from tests.doors.bodies import Dice

LONG = b"a" * 6000


@dataclass(frozen=True)
class Knock:
    """One request. `how` names what is odd about it. `is_http` is false where the web server may
    refuse it before Docmill sees it, or close the connection: it is no request by RFC 9112."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    how: str = "plain"
    is_http: bool = True
    version: bytes = b"HTTP/1.1"
    has_length: bool = True
    route: str = field(default="", compare=False)

    def __bytes__(self) -> bytes:
        lines = [b"%b %b %b" % (self.method, self.target, self.version)]
        known = {name.lower() for name, _ in self.headers}
        if b"host" not in known:
            lines.append(b"Host: localhost")
        lines += [b"%b: %b" % header for header in self.headers]
        if (self.has_length and self.method not in (b"GET", b"HEAD")) or (
            self.body and self.has_length
        ):
            lines.append(b"Content-Length: %d" % len(self.body))
        lines += [b"Connection: close", b"", b""]
        return b"\r\n".join(lines) + self.body

    def having(self, name: bytes, *values: bytes) -> "Knock":
        """With that header, once for each value, and in the place of what it was."""
        kept = [header for header in self.headers if header[0].lower() != name.lower()]
        return replace(self, headers=(*kept, *((name, value) for value in values)))

    def told(self) -> str:
        return f"{self.how}: {bytes(self)[:600]!r}"


Odd = Callable[[Knock, Dice], Knock]

# --- headers ------------------------------------------------------------------------------------

TEXTS = (
    b"",
    b" ",
    b"-",
    b",",
    b";",
    b"\xff\xfe",
    b"\xc3\x28",
    b"'\"<>",
    b"%00",
    b"{}",
    b"0",
    b"-1",
    LONG,
)
NUMBERS = (b"-1", b"+1", b"1e3", b"0x10", b"1.5", b"9" * 30, b"9" * 5000, b"NaN", b"\xd9\xa1")
ETAGS = (b'"', b"W/", b"*", b'W/"x', b", ".join([b'"%d"' % n for n in range(500)]), b"*, *")
DATES = (b"yesterday", b"Mon, 99 Foo 0000 99:99:99 GMT", b"Mon, 01 Jan 0001 00:00:00 GMT", b"0")
HEADERS: dict[bytes, tuple[bytes, ...]] = {
    b"Authorization": (
        *(b"Bearer", b"Bearer ", b"bearer x y z", b"Bearer dm_\xff", b"Basic !!!", b"Basic YTpi"),
        *(b"Bearer " + LONG, b"Negotiate", b"Bearer dm_%00", b"Digest username="),
    ),
    b"Cookie": (
        *(b"sessionid=", b"sessionid=\xff", b"sessionid=" + b"a" * 32, b"=;=;=", b"csrftoken=x"),
        *(
            b"sessionid=a; sessionid=b",
            b'messages="',
            b"messages=x:y:z",
            b"a" * 7000,
            b"sidebar=\xff",
        ),
    ),
    b"Host": (
        *(b"evil.example", b"localhost:99999", b"[::1", b"local host", b"\xff", b"localhost:0x1"),
        *(b"localhost:" + b"9" * 3000, b"..", b"a" * 5000),
    ),
    b"X-Forwarded-For": (*TEXTS, b"::1, 1.2.3.4, x", b"," * 5000, b"999.1.1.1", b"fe80::1%eth0"),
    b"X-Forwarded-Proto": TEXTS,
    b"X-Forwarded-Host": TEXTS,
    b"Forwarded": (b"for=[", b'for="_', b"for=1;by=2;;;"),
    b"Idempotency-Key": (*TEXTS, b"a" * 300, b"k\xc3\xa9y", b"a b"),
    b"Range": (
        *(b"bytes=0-", b"bytes=-0", b"bytes=" + b"9" * 25 + b"-", b"bytes=5-1,1-5", b"lines=1-2"),
        *(b"bytes=\xd9\xa1-", b"bytes=99999999-", b"bytes=-99999999999999999", b"bytes=", b"bytes"),
    ),
    b"If-Range": (*ETAGS, *DATES),
    b"If-None-Match": ETAGS,
    b"If-Match": (*ETAGS, b'"nothing"'),
    b"If-Modified-Since": DATES,
    b"If-Unmodified-Since": (*DATES, b"Mon, 01 Jan 2001 00:00:00 GMT"),
    b"Last-Event-ID": (*NUMBERS, *TEXTS, b"0", b"\xe2\x80\xae"),
    b"Accept": (
        *(b"*/*;q=abc", b"text/html;;;", b"a/b/c", b'application/json; a="', b"application/xml"),
        *(b"", b"text/html", b"," * 3000, b"*/*;q=-1", b"application/problem+json"),
    ),
    b"Accept-Language": (*TEXTS, b"xx-" * 2000),
    b"Accept-Encoding": (b"gzip;q=x", b"br, , ,", b"*;q=0"),
    b"Content-Type": (
        *(b"", b"/", b"application/json; charset=nothing", b"application/json; charset=utf-16"),
        *(
            b"text/plain",
            b"application/xml",
            b"multipart/form-data",
            b"multipart/form-data; boundary=",
        ),
        *(
            b"multipart/form-data; boundary=" + b"b" * 500,
            b"a/b; c",
            b"application/x-www-form-urlencoded; charset=utf-7",
        ),
        *(b"application/offset+octet-stream", b"\xff/\xff", b"multipart/mixed; boundary=a"),
    ),
    b"X-Request-ID": (*TEXTS, b"a" * 64, b"a" * 65, b"../../etc"),
    b"X-CSRFToken": (*TEXTS, b"a" * 64),
    b"Origin": (b"null", b"http://[", b"http://evil.example", b"\xff", b"http://localhost:99999"),
    b"Referer": (b"http://[::", b"\xff", b"http://evil.example/", b"//", LONG),
    b"HX-Request": (b"true", b"\xff"),
    b"HX-Current-URL": (b"http://[", b"\xff", b"javascript:1"),
    b"HX-Target": TEXTS,
    b"Upload-Offset": NUMBERS,
    b"Upload-Length": NUMBERS,
    b"Upload-Metadata": (
        b"filename",
        b"filename !!!",
        b"filename /w==",
        b",,,",
        b"filename AA==",
        LONG,
    ),
    b"Tus-Resumable": (b"0.9", b"\xff", b""),
    b"X-HTTP-Method-Override": (b"DELETE", b"\xff"),
    b"Upgrade": (b"websocket", b"h2c"),
    b"Expect": (b"100-continue", b"nonsense"),
    b"DNT": (b"x" * 5000,),
}
NOT_BY_EVERY_SERVER = frozenset({b"Expect", b"Upgrade", b"Host"})


def odd_header(knock: Knock, dice: Dice) -> Knock:
    name = dice.choice(list(HEADERS))
    value = dice.choice(HEADERS[name])
    is_http = name not in NOT_BY_EVERY_SERVER or value in (b"evil.example", b"100-continue")
    return replace(knock.having(name, value), how=f"{name.decode()} header", is_http=is_http)


def odd_headers(knock: Knock, dice: Dice) -> Knock:
    """Several of them at once."""
    for _ in range(dice.randint(2, 6)):
        turned = odd_header(knock, dice)
        knock = replace(turned, is_http=knock.is_http and turned.is_http)
    return replace(knock, how="many odd headers")


def twice(knock: Knock, dice: Dice) -> Knock:
    name = dice.choice([b"Authorization", b"Cookie", b"Accept", b"If-None-Match", b"Content-Type"])
    values = [dice.choice(HEADERS[name]) for _ in range(2)]
    return replace(knock.having(name, *values), how="one header twice")


def broken_header(knock: Knock, dice: Dice) -> Knock:
    broken = dice.choice(
        [
            (b"X-A", b"a\x00b"),
            (b"X A", b"b"),
            (b"X-\xff", b"b"),
            (b"", b"b"),
            (b"X-A\r\n folded", b"b"),
            (b"X-A", b"a\rb"),
            (b"X-Huge", b"h" * 100_000),
            (b"Host", b"localhost\r\nHost: evil.example"),
        ]
    )
    more = tuple((b"X-%d" % number, b"x") for number in range(dice.choice([0, 0, 150])))
    headers = (*knock.headers, broken, *more)
    return replace(knock, headers=headers, how="a header that is none", is_http=False)


# --- how long the body is -----------------------------------------------------------------------


def odd_length(knock: Knock, dice: Dice) -> Knock:
    size = len(knock.body)
    lengths = [b"%d" % (size + 10), b"-1", b"+5", b"5, 5", b"0x10", b"9" * 30, b"", b"a"]
    headers = dice.choice(
        [
            *([(b"Content-Length", each)] for each in lengths),
            [(b"Content-Length", b"%d" % size), (b"Content-Length", b"%d" % (size + 1))],
            [(b"Content-Length", b"%d" % size), (b"Transfer-Encoding", b"chunked")],
            [(b"Transfer-Encoding", b"gzip, chunked")],
            [(b"Transfer-Encoding", b"nothing")],
        ]
    )
    plain = replace(knock, has_length=False)
    return replace(plain, headers=(*plain.headers, *headers), how="wrong length", is_http=False)


def in_chunks(knock: Knock, dice: Dice) -> Knock:
    body = knock.body or b"abc"
    whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    broken = [
        *(b"zz\r\nabc\r\n0\r\n\r\n", b"3\r\nabc", b"3\r\nabcdef\r\n0\r\n\r\n", b"-3\r\nabc\r\n"),
        *(b"f" * 20 + b"\r\nabc\r\n", b"3;a=\x00\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n", b"\r\n"),
        b"0\r\nContent-Length: 5\r\nHost: evil.example\r\n\r\n",
    ]
    is_whole = dice.random() < 0.4
    sent = whole if is_whole else dice.choice(broken)
    turned = replace(knock.having(b"Transfer-Encoding", b"chunked"), has_length=False, body=sent)
    return replace(turned, how="chunks", is_http=is_whole)


# --- where to, and what for ---------------------------------------------------------------------

QUERIES = (
    *(
        b"%",
        b"a=%00",
        b"=",
        b"&&&",
        b"limit=1e999",
        b"limit=-1",
        b"limit=" + b"9" * 5000,
        b"limit=",
    ),
    *(b"limit=%D9%A1", b"limit=10&limit=x", b"cursor=", b"cursor=%00", b"cursor=cD0lMDA%3D"),
    *(
        b"cursor=cD0tMQ%3D%3D",
        b"cursor=bz0tMQ%3D%3D",
        b"cursor=bz05OTk5OTk5OTk5OTk%3D",
        b"cursor=\xff",
    ),
    *(
        b"cursor=cD0wMDAxLTAxLTAx",
        b"cursor=" + LONG,
        b"format=",
        b"format=xml",
        b"format=json&format=api",
    ),
    *(
        b"format=%00",
        b"state=nothing",
        b"state=" + b"failed&state=" * 500,
        b"name=%00",
        b"name=" + LONG,
    ),
    *(b"created_after=0001-01-01T00:00:00%2B14:00", b"created_after=9999-12-31T23:59:59-14:00"),
    *(b"created_before=NaN", b"parent=x", b"q=%00", b"q=" + b"%F0%9F%98%80" * 500, b"page=-1"),
    *(b"width=1e9", b"width=%00", b"lang=../../x", b"version=%00", b"unread=maybe", b"kind=%00"),
    *(
        b"\xff\xfe",
        b"a=" * 2000,
        b"%u0041=1",
        b"next=//evil.example",
        b"next=%00",
        b"state[]=failed",
    ),
    *(b"?" * 50, b"a[b][c]=1", b"csrfmiddlewaretoken=x", b"_popup=1", b"o=1.2.x", b"p=99999999999"),
)
PATHS = (
    *(
        b"%00",
        b"%2e%2e/%2e%2e/etc/passwd",
        b"%c0%af",
        b"%ff",
        b"/",
        b"//",
        b";a=b",
        b"../..",
        b"%2f",
    ),
    *(
        b"%e2%80%ae",
        b"%0a",
        b"%0d%0aSet-Cookie:x=1",
        b"\xc3\xa9",
        b"\xff",
        b"'",
        b"%u0041",
        b"%",
        b"%zz",
    ),
    *(b"/" + LONG, b"/" + b"%41" * 4000, b"/.git/config", b"\\..\\x", b"|", b"~", b"#x"),
)
NO_TARGETS = (
    *(b"*", b"nothing", b"http://evil.example/api", b"/a b", b"\xff", b"", b"/\x00", b"//evil/api"),
    b"/" + b"a" * 70_000,
)
METHODS = (
    *(
        b"OPTIONS",
        b"HEAD",
        b"TRACE",
        b"PROPFIND",
        b"FOO",
        b"get",
        b"PUT",
        b"DELETE",
        b"PATCH",
        b"POST",
    ),
    *(b"M" * 100, b"QUERY"),
)
NO_METHODS = (b"CONNECT", b"", b"G\x00T", b"\xff", b"GET GET", b"PRI")


def odd_query(knock: Knock, dice: Dice) -> Knock:
    path = knock.target.partition(b"?")[0]
    query = b"&".join(dice.sample(QUERIES, dice.choice([1, 1, 1, 3])))
    is_http = query.isascii()
    return replace(knock, target=path + b"?" + query, how="odd query", is_http=is_http)


def odd_path(knock: Knock, dice: Dice) -> Knock:
    path = knock.target
    cut = dice.randrange(len(path)) if dice.random() < 0.3 else len(path)
    target = path[: max(cut, 1)] + dice.choice(PATHS)
    is_http = not set(target) & set(b"#|\\") and target.isascii()
    return replace(knock, target=target, how="odd path", is_http=is_http)


def no_target(knock: Knock, dice: Dice) -> Knock:
    return replace(knock, target=dice.choice(NO_TARGETS), how="no target", is_http=False)


def odd_method(knock: Knock, dice: Dice) -> Knock:
    return replace(knock, method=dice.choice(METHODS), how="odd method")


def no_method(knock: Knock, dice: Dice) -> Knock:
    return replace(knock, method=dice.choice(NO_METHODS), how="no method", is_http=False)


def odd_version(knock: Knock, dice: Dice) -> Knock:
    version = dice.choice(
        [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"", b"X"]
    )
    return replace(knock, version=version, how="odd version", is_http=version == b"HTTP/1.0")


# --- what is in it ------------------------------------------------------------------------------


def odd_body(knock: Knock, dice: Dice) -> Knock:
    """JSON, a form or a multipart form, each odd in its own way."""
    media_type, content = dice.choice([bodies.json_body, bodies.form_body, bodies.multipart_body])(
        dice
    )
    method = dice.choice([b"POST", b"PATCH"]) if knock.method in (b"GET", b"HEAD") else knock.method
    if dice.random() < 0.15:
        media_type = dice.choice(HEADERS[b"Content-Type"])
    turned = replace(knock.having(b"Content-Type", media_type), method=method, body=content)
    return replace(turned, how="odd body")


SAFE: tuple[Odd, ...] = (
    *(odd_header, odd_headers, twice, odd_query) * 2,
    *(odd_path, odd_method, odd_version, broken_header, no_target, no_method),
)
WRITES: tuple[Odd, ...] = (*SAFE, *(odd_body,) * 8, odd_length, in_chunks, in_chunks)


def knocks(plain: Knock, dice: Dice, count: int) -> Iterator[Knock]:
    """`count` odd ones of a request that is fine."""
    turns = SAFE if plain.method in (b"GET", b"HEAD") else WRITES
    for _ in range(count):
        yield dice.choice(turns)(plain, dice)


def dice_of(seed: int, *of: str) -> Dice:
    """The same for the same seed and thing, whatever else is asked for."""
    return random.Random(f"{seed} {of}")
