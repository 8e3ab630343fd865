"""The open model for any locustfile: requests come when they come, however the server is doing.

Two lines give a locustfile of your own arrivals, latency from the intended start, profiles and a
verdict::

    from loadtests.openmodel import OpenUser
    class MyUser(OpenUser):    # not FastHttpUser; tasks, weights, tags, on_start as usual
"""

from loadtests import session
from loadtests.arrivals import OpenUser, arrival

__all__ = ["OpenUser", "arrival", "session"]
