"""What is written without an office program: text, markup, data, EPUB, RTF, mail and ZIP."""

import json
from email.message import EmailMessage
from email.policy import SMTP

from tests.data.make.common import AUTHOR, DATA, TABLES, TEXTS, THE_DAY, text, zipped

ENCODED = {
    "minato-cp932.txt": ("minato", "cp932"),
    "minato-eucjp.txt": ("minato minato_letter", "euc_jp"),
    "gang-big5.txt": ("gang_tw", "big5"),
    "gang-gb18030.txt": ("gang", "gb18030"),
    "namal-cp1255.txt": ("namal", "cp1255"),
    "more-cp1251.txt": ("more", "cp1251"),
    "thalassa-iso8859-7.txt": ("thalassa", "iso8859-7"),
    "las-utf16le-bare.txt": ("las", "utf-16-le"),
    "more-utf16be-bare.txt": ("more", "utf-16-be"),
    "hafen-utf32.txt": ("hafen", "utf-32"),
    "marche-utf8-mark.txt": ("marche", "utf-8-sig"),
}


def make() -> None:
    files = {name: _encoded(*how) for name, how in ENCODED.items()}
    files |= _tables() | _data() | _markup() | _mails() | _archives()
    for name, content in files.items():
        (DATA / name).write_bytes(content)


def _encoded(names: str, encoding: str) -> bytes:
    return text(*names.split()).replace("\n", "\r\n").encode(encoding)


def _joined(rows: list[list[str]], delimiter: str, end: str = "\r\n") -> str:
    return end.join(delimiter.join(row) for row in rows) + end


def _tables() -> dict[str, bytes]:
    russian = [["Лодка", "Длина", "Оплачено"], ["Чайка", "12", "318,5"], ["Волна", "7", "140"]]
    quoted = (
        'Boat,Remark,Fee\r\nKittiwake,"Leaks, but only\r\na little",12.50\r\n'
        'Petrel,"The ""new"" one",9.00\r\n'
    )
    return {
        "lodki-cp1251.csv": _joined(russian, ";").encode("cp1251"),
        "tides-utf16le.tsv": _joined(TABLES["tides"], "\t").encode("utf-16"),
        "remarks.csv": quoted.encode(),
        "fees.csv": _joined(TABLES["fees"], ",", "\n").encode(),
    }


def _data() -> dict[str, bytes]:
    station = {
        "station": "North pier",
        "notes": TEXTS["weather"],
        "readings": [{"day": day, "high": high} for day, high, _ in TABLES["tides"][1:]],
        "sea": {"name": "Балтика", "salt": 0.7, "frozen": False, "depth": None},
    }
    lines = [json.dumps({"line": words}, ensure_ascii=False) for words in TEXTS["marche"]]
    catalogue = "".join(f'<book shelf="w"><line>{words}</line></book>' for words in TEXTS["las"])
    order = "".join(f"<item>{words}</item>" for words in TEXTS["garden"])
    return {
        "station.json": json.dumps(station, ensure_ascii=False, indent=2).encode(),
        "marche.jsonl": "\n".join(lines).encode(),
        "katalog-latin2.xml": (
            f'<?xml version="1.0" encoding="ISO-8859-2"?>\n<books>{catalogue}</books>\n'
        ).encode("iso8859-2"),
        "order-utf16.xml": (
            f'<?xml version="1.0" encoding="UTF-16"?>\n<order><!-- not for people -->'
            f"{order}<note><![CDATA[Beans & <poles>]]></note></order>"
        ).encode("utf-16"),
    }


def _markup() -> dict[str, bytes]:
    rows = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in TABLES["tides"]
    )
    shown = "".join(f"<p>{words}</p>" for words in TEXTS["harbour"])
    russian = "".join(f"<p>{words}</p>" for words in TEXTS["more"])
    french = "".join(f"<p>{words}</p>" for words in TEXTS["marche"])
    front = f"---\ntitle: Bread\nauthor: {AUTHOR}\n---\n\n# Sour bread\n\n"
    steps = "\n".join(f"1. {words}" for words in TEXTS["bread"])
    table = _joined(TABLES["tides"][:1], " | ", "\n") + "--- | --- | ---\n"
    table += _joined(TABLES["tides"][1:], " | ", "\n")
    return {
        "tides.html": (
            f"<!doctype html><html lang=en><head><meta charset=utf-8><title>Tides</title>"
            f"<meta name=author content='{AUTHOR}'><style>td {{ color: navy }}</style></head>"
            f"<body><h1>Tides of the week</h1><table>{rows}</table>{shown}"
            f"<p hidden>Nobody sees this.</p><script>var unseen = 1;</script></body></html>"
        ).encode(),
        "lying-charset.html": (
            f"<html><head><meta charset=utf-8><title>Маяк</title></head><body>{russian}</body>"
        ).encode("cp1251"),
        "marche-utf16.htm": f"<html><title>Marché</title><body>{french}".encode("utf-16"),
        "entities.xhtml": (
            b'<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'
            b"<head><title>Caf&#233;</title></head><body><p>Caf&eacute; &amp; th&#xe9; "
            b"cost 3&nbsp;&euro; &#8212; r&eacute;serv&eacute;.</p></body></html>"
        ),
        "bread.md": f"{front}{steps}\n\n## Tides\n\n{table}".encode(),
        "gang.md": f"# 港口\n\n{text('gang')}\n\n* [灯塔](https://example.com/lamp)\n".encode(),
        "las.rtf": _rtf("las", "cp1250", 238),
        "well.epub": _epub(),
    }


def _rtf(name: str, encoding: str, charset: int) -> bytes:
    """Rich Text as old programs wrote it: bytes of a code page, not Unicode."""
    paragraphs = "\\par\n".join(
        "".join(
            letter if letter.isascii() else "".join(f"\\'{b:02x}" for b in letter.encode(encoding))
            for letter in words
        )
        for words in TEXTS[name]
    )
    return (
        f"{{\\rtf1\\ansi\\ansicpg{encoding[2:]}\\deff0"
        f"{{\\fonttbl{{\\f0\\fcharset{charset} Arial;}}}}"
        f"{{\\info{{\\title Las}}{{\\author {AUTHOR}}}{{\\creatim\\yr2024\\mo3\\dy4\\hr9\\min30}}}}"
        f"\\f0 {paragraphs}\\par}}"
    ).encode("ascii")


def _epub() -> bytes:
    """EPUB 3; the chapters' files are in another order than the book reads."""
    chapters = {"c": "chapter_one", "a": "chapter_two", "b": "chapter_three"}
    page = (
        '<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
        "<title>{0}</title></head><body><h1>Part {0}</h1>{1}</body></html>"
    )
    members = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": b'<?xml version="1.0"?><container version="1.0" '
        b'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        b'full-path="book/all.opf" media-type="application/oebps-package+xml"/></rootfiles>'
        b"</container>",
    }
    items = "".join(
        f'<item id="{at}" href="{at}.xhtml" media-type="application/xhtml+xml"/>'
        for at in sorted(chapters)
    )
    spine = "".join(f'<itemref idref="{at}"/>' for at in chapters)
    members["book/all.opf"] = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="u"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<dc:identifier id="u">urn:example:well</dc:identifier><dc:title>The well</dc:title>'
        f"<dc:creator>{AUTHOR}</dc:creator><dc:language>en</dc:language>"
        '<meta property="dcterms:modified">2024-03-04T09:30:00Z</meta></metadata>'
        '<manifest><item id="n" href="n.xhtml" properties="nav" '
        f'media-type="application/xhtml+xml"/>{items}</manifest><spine>{spine}</spine></package>'
    ).encode()
    links = "".join(f'<li><a href="{at}.xhtml">{at}</a></li>' for at in chapters)
    members["book/n.xhtml"] = (
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
        f'<body><nav epub:type="toc"><ol>{links}</ol></nav></body></html>'
    ).encode()
    for number, (at, name) in enumerate(chapters.items(), 1):
        words = "".join(f"<p>{sentence}</p>" for sentence in TEXTS[name])
        members[f"book/{at}.xhtml"] = page.format(number, words).encode()
    return zipped(members, stored=("mimetype",))


def _message(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Stores <stores@example.com>"
    message["To"] = "Office <office@example.com>, pilot@example.com"
    message["Subject"] = subject
    message["Date"] = THE_DAY
    message["Message-ID"] = f"<{len(subject)}@example.com>"
    return message


def _mails() -> dict[str, bytes]:
    attached = _message("Zwei Anhänge aus dem Hafen")
    attached.set_content(text("mail_reply"), cte="quoted-printable")
    tides = _joined(TABLES["tides"], ",").encode()
    attached.add_attachment(tides, maintype="text", subtype="csv", filename="tides.csv")
    book = (DATA / "tides.xlsx").read_bytes()
    name = "Größe der Boote.xlsx"
    attached.add_attachment(book, maintype="application", subtype="x", filename=name)
    forwarded = _message("Fwd: The regatta")
    forwarded.set_content("See below.")
    inner = _message("The regatta")
    inner.set_content(text("mail_forward"))
    forwarded.add_attachment(inner)
    page = _message("Le marché")
    page.set_content(text("marche"), charset="iso-8859-1", cte="quoted-printable")
    lines = "".join(f"<p>{words}</p>" for words in TEXTS["marche"])
    page.add_alternative(f"<html><body>{lines}</body></html>", subtype="html")
    only_html = _message("Weather")
    only_html.set_content(
        "<html><body><h1>Outlook</h1>"
        + "".join(f"<p>{words}</p>" for words in TEXTS["weather"])
        + "</body></html>",
        subtype="html",
    )
    for number, message in enumerate((attached, forwarded, page, only_html)):
        _bounded(message, number)
    koi8 = (
        b"From: =?koi8-r?B?7cHRyw==?= <lamp@example.com>\r\nTo: office@example.com\r\n"
        b"Subject: =?koi8-r?B?8tnCwcvJ?=\r\nDate: Mon, 04 Mar 2024 12:30:00 +0300\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=koi8-r\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\n"
    ) + "\r\n".join(TEXTS["more"]).encode("koi8-r")
    return {
        "two-attachments.eml": attached.as_bytes(policy=SMTP),
        "forwarded.eml": forwarded.as_bytes(policy=SMTP),
        "marche.eml": page.as_bytes(policy=SMTP),
        "weather-html.eml": only_html.as_bytes(policy=SMTP),
        "koi8.eml": koi8,
    }


def _bounded(message: EmailMessage, number: int) -> None:
    if message.is_multipart():
        message.set_boundary(f"boundary-{number}")


def _archives() -> dict[str, bytes]:
    inner = zipped({"deep/bread.txt": text("bread").encode()})
    old = zipped({"BLAUES_SCHIFF_?.TXT": text("hafen").encode("cp850")})
    return {
        "folders.zip": zipped(
            {
                "letters/harbour.txt": text("harbour").encode(),
                "letters/2024/tides.csv": _joined(TABLES["tides"], ",").encode(),
                "Übersicht/Größen.txt": text("hafen").encode(),
                "港/船.txt": text("minato").encode(),
                "empty folder/": b"",
            }
        ),
        "nested.zip": zipped({"library.md": text("library").encode(), "inner.zip": inner}),
        # As DOS programs packed it: no flag for UTF-8, the name in code page 437.
        "dos-name.zip": old.replace(b"SCHIFF_?", "SCHIFF_Ä".encode("cp437")),
    }
