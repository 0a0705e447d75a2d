"""What the sample documents say. Invented, and in the public domain (CC0)."""

HARBOUR_LOG = [
    [
        "Harbour log, March: first page",
        "",
        "Monday the fourth. Wind from the west, force four, easing after noon.",
        "Two trawlers left before dawn and the ferry came in eleven minutes late.",
        "The lamp on the north pier was cleaned and its battery exchanged.",
        "Water temperature at the steps: seven degrees. Visibility very good.",
    ],
    [
        "Harbour log, March: second page",
        "",
        "Tuesday the fifth. Fog until ten, and the horn was sounded every two minutes.",
        "A cutter waited outside the mole and was guided in by the pilot boat.",
        "The crane is out of service; a new cable has been ordered from the mainland.",
        "Pressure 1021 hectopascals, rising slowly. No catch was landed.",
    ],
    [
        "Harbour log, March: third page",
        "",
        "Wednesday the sixth. Clear sky, wind turning north, first swallows seen.",
        "The school visited the tide gauge and counted forty-one oystercatchers.",
        "Mooring fees collected: 318.50. One dinghy was found adrift and secured.",
        "Entry closed at eight in the evening, all lights checked.",
    ],
]

INVOICE = [
    "Example Ltd",
    "12 Quay Road, Sampleton",
    "accounts@example.com",
    "",
    "Invoice number 2024-0317",
    "Date: 4 March 2024",
    "",
    "Thirty metres of mooring rope           96.00",
    "Six cans of marine varnish             141.60",
    "Delivery to the north pier              12.40",
    "",
    "Total due                              250.00",
    "",
    "Please pay within thirty days of the date above.",
    "Goods remain our property until they are paid in full.",
]

LETTER = [
    "Dear neighbours,",
    "",
    "The footbridge behind the boathouse will be closed from the ninth to the",
    "twentieth of May, because its planks have to be replaced. During this time",
    "the path along the canal stays open, and a small ferry crosses every half hour.",
    "",
    "The survey of the old planks is on the next page.",
    "",
    "With kind regards from the harbour office",
]

SURVEY = [
    "Survey of the footbridge",
    "",
    "Planks examined: 64",
    "Planks to be replaced: 23",
    "The railing on the eastern side is loose and must be fastened.",
    "The foundations are sound and show no cracks below the water line.",
    "",
    "Signed by the surveyor on the second of April",
]

HOUSE_RULES = [
    "Hausordnung für das Bootshaus",
    "",
    "Die Türen werden abends um zehn Uhr geschlossen. Wer später kommt, benutzt",
    "den Schlüssel aus dem Kästchen neben der Treppe und hängt ihn danach zurück.",
    "Nasse Segel gehören auf den Trockenboden und nicht über das Geländer.",
    "Größere Reparaturen sind vorher mit dem Hafenmeister abzusprechen.",
    "Müll und Öl werden getrennt gesammelt; die Behälter stehen hinter dem Haus.",
    "Wir wünschen allen Gästen einen schönen Aufenthalt.",
]

PARKING = [
    "Notice to visitors",
    "",
    "Parking behind the fish market is free on Sundays.",
    "On working days a ticket is needed from eight until six.",
    "Please keep the slipway clear at all times,",
    "because the lifeboat may be launched without warning.",
    "Bicycles can be left under the roof beside the ticket machine.",
]

RECIPE = (
    "Fish soup for eight",
    [
        "This soup is cooked on the quay every autumn, when the boats are out of the water.",
        "It keeps for two days and is better on the second.",
    ],
    [
        ("2 kilograms", "mixed white fish"),
        ("5", "large onions"),
        ("1 litre", "dry cider"),
        ("3 sprigs", "thyme"),
    ],
    [
        "Simmer the bones and skins for forty minutes, then strain.",
        "Soften the onions in butter without letting them brown.",
        "Add cider and stock, bring to the boil, and cook the fish for six minutes.",
    ],
)

HTML_NOTICE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Opening hours of the reading room</title>
  <style>body { font-family: serif }</style>
  <script>document.title = "this is not text";</script>
</head>
<body>
  <h1>The reading room</h1>
  <p>From <b>April</b> to <b>September</b> the reading room in the old customs house is open
  on Tuesdays and Fridays, from nine in the morning until half past four.</p>
  <ul>
    <li>Charts may be studied at the long table.</li>
    <li>Logbooks before 1900 are shown on request &mdash; please write a day ahead.</li>
  </ul>
  <table><tr><th>Day</th><th>Hours</th></tr><tr><td>Tuesday</td><td>9:00&ndash;16:30</td></tr></table>
  <p hidden>Hidden sentence that nobody sees.</p>
  <p>Questions: <a href="mailto:reading@example.com">reading@example.com</a></p>
</body>
</html>
"""

MAIL = [
    "Good morning,",
    "",
    "please find attached the tide table for the first days of March. We order thirty",
    "metres of rope and six cans of varnish, to be delivered to the north pier.",
    "",
    "The café boat returns on the eleventh; the crane should be working by then.",
    "",
    "Regards from the stores",
]

CSV_ROWS = [
    ("Tag", "Ort", "Hochwasser", "Höhe (m)", "Gebühr (€)"),
    ("2024-03-04", "Nordmole", "06:12", "3,41", "12,50"),
    ("2024-03-04", "Südbecken", "06:20", "3,38", "9,00"),
    ("2024-03-05", "Nordmole", "07:01", "3,22", "12,50"),
    ("2024-03-05", "Südbecken", "07:09", "3,19", "9,00"),
    ("2024-03-06", "Flussmündung", "08:15", "2,97", "0,00"),
]

KNOTS = """Three knots worth knowing

The bowline makes a loop that neither slips nor jams. Sailors say it is tied by a rabbit:
out of its hole, round the tree, and back into the hole.

The reef knot joins two ends of the same rope. It is quick, but it must never carry a load
on which a life depends — it spills when it is pulled the wrong way.

The clove hitch holds a line to a post. Two turns are enough, and it is undone in a moment,
even with cold hands; for longer stays, add a half hitch.
"""
