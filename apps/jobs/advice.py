"""What somebody can do about a file that failed: for the API, the pages and the admin.

`docs/errors.md` tells the same of the same codes.
"""

GOES_ON = "Nothing: it goes on by itself."
REPORT = "Report it with the file's id."
ADVICE = {
    "document.bomb": "Send the content in another form.",
    "document.corrupt": "Send an undamaged copy.",
    "document.empty": "Send a copy that has content.",
    "document.encrypted": "Submit it again with its password, or send a copy that needs none.",
    "document.gone": "Submit it again.",
    "document.infected": "Do not open it; tell who sent it to you.",
    "document.language": "Submit it again with a language that is installed.",
    "document.mislabelled": "Give it the ending that fits its content, and submit it again.",
    "document.name": "Rename it and submit it again.",
    "document.nested": "Take out what lies deepest and submit it by itself.",
    "document.pages": "Submit it again with pages that it has.",
    "document.password": "Submit it again with the right password.",
    "document.password_lost": "Submit it again with its password.",
    "document.too_large": "Split or shrink it.",
    "document.too_many_members": "Split it.",
    "document.too_many_pages": "Split it, or choose fewer pages.",
    "document.unsafe": "Save it anew and send that copy.",
    "document.unsupported": "Save it as a kind that is read, such as PDF.",
    "processor.crashed": "Save it anew and send that copy; if that fails too, report it.",
    "processor.error": REPORT,
    "processor.memory": "Split it, or ask an admin to raise PROCESSING_MEMORY_BYTES.",
    "processor.output": "Split it.",
    "processor.stalled": "Split it, or ask an admin to raise PROCESSING_SILENCE_SECONDS.",
    "processor.stopped": GOES_ON,
    "processor.timeout": "Split it, or ask an admin to raise PROCESSING_TIMEOUT_SECONDS.",
    "processor.unavailable": "Run it again later; if that fails too, ask an admin.",
    "queue.database": GOES_ON,
    "queue.error": REPORT,
    "queue.interrupted": GOES_ON,
    "queue.lost": "Nothing at first; if it happens again and again, ask an admin.",
    "queue.storage": "Nothing at first; if it stays, ask an admin: the disk may be full.",
}
"""Error code -> what the person who sent the file can do."""
DEFAULT = "Run it again; if that fails too, report it with the file's id."
"""For a code that only a processor from elsewhere knows."""


def advice_on(code: str) -> str:
    """In a sentence, for the code of an error."""
    return ADVICE.get(code, DEFAULT)
