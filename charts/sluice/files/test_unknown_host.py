"""Asks for a host that no release has: the router itself must answer, with the status expected."""

import http.client
import os
import sys
import urllib.parse

address = urllib.parse.urlsplit(os.environ["URL"])
host, expected = os.environ["HOST"], int(os.environ["STATUS"])
connection = http.client.HTTPConnection(address.hostname, address.port or 80, timeout=5)
connection.request("GET", "/", headers={"host": host})
answer = connection.getresponse()
revision = answer.getheader("x-sluice-version")
print(f"host {host}: {answer.status}, revision {revision}")
if answer.status != expected or revision is not None:
    sys.exit(f"host {host}: expected {expected} of the router itself")
