"""Sentences in known languages, encoded, and decoded without being told how."""

# ruff: noqa: RUF001 (letters of other alphabets are what this is about)

import pytest

from apps.processors.decoding import decode
from apps.processors.html import decoded
from apps.processors.protocol import Page

pytestmark = pytest.mark.once

SENTENCES = {
    "de": "Die Brücke über den Fluss wird im März geprüft. Fußgänger können weiter hinüber.",
    "fr": "La bibliothèque est fermée à Noël. Les élèves peuvent rendre les livres après la fête.",
    "es": "El año pasado la señora Núñez plantó un árbol pequeño. Mañana vendrán los niños.",
    "sv": "På våren åker båten över sjön varje dag, även när det blåser hårt från öster.",
    "en": "The café closes at ten — please — please pay at the bar. “Soup of the day” is £4.",
    "pl": "Książki należy zwrócić w ciągu trzech tygodni, później płaci się za każdy dzień zwłoki.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy. Knihy je třeba vrátit do tří týdnů.",
    "hu": "A könyveket három héten belül kell visszahozni. Köszönjük, jövő őszig zárva tartunk.",
    "tr": "Kitaplar üç hafta içinde geri verilmelidir. İyi günler ve teşekkürler.",
    "ru": "Книги нужно вернуть в течение трёх недель, позже библиотека берёт плату за каждый день.",
    "el": "Τα βιβλία πρέπει να επιστραφούν μέσα σε τρεις εβδομάδες, αργότερα χρεώνεται κάθε ημέρα.",
    "he": "יש להחזיר את הספרים בתוך שלושה שבועות, אחר כך הספרייה גובה תשלום על כל יום.",
    "ar": "يجب إعادة الكتب خلال ثلاثة أسابيع، وبعد ذلك تأخذ المكتبة رسماً عن كل يوم.",
    "th": "ต้องคืนหนังสือภายในสามสัปดาห์ หลังจากนั้นห้องสมุดจะคิดค่าปรับทุกวัน ขอบคุณที่เข้าใจ",
    "zh": "图书须在三周之内归还，逾期图书馆将按天收取费用。感谢您的理解，欢迎下次再来。",
    "zh-tw": "圖書須在三週之內歸還，逾期圖書館將按天收取費用。感謝您的諒解，歡迎下次再來。",
    "ja": "本は三週間以内に返してください。それより遅れると、図書館は料金をいただきます。",
    "ko": "책은 삼 주 안에 돌려주셔야 합니다. 늦어지면 도서관이 하루마다 요금을 받습니다.",
}
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")
ENCODED = [
    *((language, encoding) for language in ("de", "ru", "zh", "ja") for encoding in UNICODE),
    *((language, "cp1252") for language in ("de", "fr", "es", "sv", "en")),
    *((language, "cp1250") for language in ("pl", "cs", "hu")),
    *((language, "iso8859_2") for language in ("pl", "cs")),
    ("de", "cp850"),
    ("fr", "mac_roman"),
    ("tr", "cp1254"),
    ("ru", "cp1251"),
    ("ru", "koi8_r"),
    ("ru", "cp866"),
    ("ru", "iso8859_5"),
    ("el", "cp1253"),
    ("he", "cp1255"),
    ("ar", "cp1256"),
    ("th", "cp874"),
    ("zh", "gb18030"),
    ("zh-tw", "big5"),
    ("ja", "cp932"),
    ("ja", "euc_jp"),
    ("ja", "iso2022_jp"),
    ("ko", "euc_kr"),
    ("ko", "iso2022_kr"),
]


@pytest.mark.parametrize(("language", "encoding"), ENCODED)
def test_a_text_comes_back_as_it_was(language: str, encoding: str) -> None:
    text, found = decode(SENTENCES[language].encode(encoding))
    assert text.removeprefix("\ufeff") == SENTENCES[language], found


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("El año".encode("cp1252"), "cp1252"),
        ("Fußgänger".encode("cp1252"), "cp1252"),
        ("Ein Wort größer als sonst".encode("cp1252") * 20_000, "cp1252"),
        (b"plain words " * 30_000 + "über größere".encode("cp1252"), "cp1252"),
        (b"\x1b(J is a name, \xe9t\xe9 another", "cp1252"),
        (("über alles " * 9 + "\0").encode("cp1252"), "cp1252"),
        (b"\x81\x8d\x8f\x90\x9d", None),
    ],
)
def test_short_and_odd_texts(content: bytes, encoding: str | None) -> None:
    text, found = decode(content)
    assert encoding in (found, None)
    assert len(text) <= len(content)


@pytest.mark.parametrize(
    "content",
    [b"a\0b", b"\xff\xfe\x00\xd8a\x00", b"\x00\xd8a\x00" * 20, b"\xed\xa0\x80 x"],
    ids=["NUL", "half a pair", "halves without a mark", "half a pair in UTF-8"],
)
def test_what_comes_out_can_be_stored(content: bytes) -> None:
    text = Page(number=1, text=decode(content)[0]).text
    assert "\0" not in text
    assert text.encode("utf-8")


@pytest.mark.parametrize(
    ("declared", "language", "encoding"),
    [
        ("utf-8", "ru", "cp1251"),
        ("utf-8", "pl", "cp1250"),
        ("utf-8", "de", "cp1252"),
        ("utf-8", "ja", "cp932"),
        ("shift_jis", "ru", "cp1251"),
        ("utf-16", "ru", "cp1251"),
        ("utf-16", "ru", "utf-8"),
        ("windows-1251", "ru", "utf-8"),
        ("koi8-r", "ru", "koi8_r"),
        ("iso-8859-2", "pl", "iso8859_2"),
        ("iso-2022-jp", "ja", "iso2022_jp"),
    ],
)
def test_a_page_is_believed_only_what_its_bytes_allow(
    declared: str, language: str, encoding: str
) -> None:
    page = f'<meta charset="{declared}"><p>{SENTENCES[language]}</p>'
    assert decoded(page.encode(encoding))[0] == page


def test_a_stray_byte_makes_no_page_a_lie() -> None:
    page = f'<meta charset="utf-8"><p>{SENTENCES["ru"]}</p>'
    assert decoded(page.encode() + b"\xff") == (page + "\ufffd", "utf-8")
