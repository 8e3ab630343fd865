"""Asks for a host that no release has: anything but the router's own 404 is a failure."""

import http.client
import os
import sys
import urllib.parse

address = urllib.parse.urlsplit(os.environ["URL"])
host = os.environ["HOST"]
connection = http.client.HTTPConnection(address.hostname, address.port or 80, timeout=5)
connection.request("GET", "/", headers={"host": host})
answer = connection.getresponse()
version = answer.getheader("x-sluice-version")
print(f"host {host}: {answer.status}, x-sluice-version {version}")
if answer.status != 404 or version is not None:
    sys.exit(f"host {host} is answered by revision {version}: no release should have it")
