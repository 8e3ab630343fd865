"""Asks the Service once; a status that is not expected is a failure."""

import http.client
import os
import sys

host, path = os.environ["HOST"], os.environ["URLPATH"]
expected = {int(status) for status in os.environ["STATUSES"].split(",")}
connection = http.client.HTTPConnection(host, int(os.environ["PORT"]), timeout=10)
try:
    connection.request("GET", path)
    answer = connection.getresponse()
except OSError as error:
    sys.exit(f"http://{host}{path}: {error}")
print(f"http://{host}{path}: {answer.status}, revision {answer.getheader('x-sluice-version')}")
if answer.status not in expected:
    sys.exit(f"expected {sorted(expected)}, got {answer.status}")
