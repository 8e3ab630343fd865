"""Asks the router, by its Service, for an answer of its own, some times: each router may be met."""

import http.client
import os
import sys
import urllib.parse

address = urllib.parse.urlsplit(os.environ["URL"])
for _ in range(10):
    connection = http.client.HTTPConnection(address.hostname, address.port or 80, timeout=5)
    try:
        connection.request("GET", "/")
        status = connection.getresponse().status
    except OSError as error:
        sys.exit(f"no router answers at {address.netloc}: {error}")
    finally:
        connection.close()
    print(f"{address.netloc}: {status}")
