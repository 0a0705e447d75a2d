"""Carries out orders to LibreOffice, read as JSON from standard input; see common.convert.

Runs under the system's Python, which has LibreOffice's module `uno` (Debian: python3-uno).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import uno
from com.sun.star.beans import NamedValue, PropertyValue
from com.sun.star.connection import NoConnectException

PIPE = f"corpus{os.getpid()}"
ADDRESS = f"uno:pipe,name={PIPE};urp;StarOffice.ComponentContext"


def main() -> None:
    with tempfile.TemporaryDirectory() as profile:
        office = subprocess.Popen(
            [
                "soffice",
                "--headless",
                "--norestore",
                f"-env:UserInstallation=file://{profile}",
                f"--accept=pipe,name={PIPE};urp",
            ]
        )
        desktop = connected()
        for order in json.load(sys.stdin):
            carry_out(desktop, **order)
        desktop.terminate()
        office.wait()


def connected() -> object:
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstance("com.sun.star.bridge.UnoUrlResolver")
    for _ in range(300):
        try:
            context = resolver.resolve(ADDRESS)
        except NoConnectException:
            time.sleep(0.2)
        else:
            return context.ServiceManager.createInstance("com.sun.star.frame.Desktop")
    raise SystemExit("LibreOffice does not answer")


def carry_out(desktop, source, target, filter, password=""):  # noqa: A002 (the key in the orders)
    document = desktop.loadComponentFromURL(
        pathlib.Path(source).as_uri(), "_blank", 0, (PropertyValue("Hidden", 0, True, 0),)
    )
    values = [PropertyValue("FilterName", 0, filter, 0)]
    if password:
        values.append(PropertyValue("Password", 0, password, 0))
    if password and filter.endswith("2007 XML"):
        kept = (NamedValue("CryptoType", "Standard"), NamedValue("OOXPassword", password))
        sequence = uno.Any("[]com.sun.star.beans.NamedValue", kept)
        values.append(PropertyValue("EncryptionData", 0, sequence, 0))
    document.storeToURL(pathlib.Path(target).as_uri(), tuple(values))
    document.close(True)


main()
