"""How moments are written where a template says no format, such as in Django's admin: as on every
other page, not as in America."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
