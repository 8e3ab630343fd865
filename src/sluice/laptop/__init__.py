"""Everything on one machine, put together: router, platform, loop and the API that the CLI asks.

supervisor   the process: claims the folder, starts or adopts the rest, serves until told
router       Envoy and its agent as two daemons
library      documents that were applied: policies and SLOs that later files may refer to
api, logs    what the CLI asks over ``.sluice/supervisor.sock``
"""
