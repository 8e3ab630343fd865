"""The command line ``model-api``: serve, healthcheck, bundles."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

# Before numpy is imported anywhere: a pool of threads per library costs memory and thrashes
# on the two cores that a replica has.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# Looking for plugins of pydantic reads the metadata of every installed distribution.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

USAGE = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 refused, 64 usage)."""
    from sluice_model_api.errors import ModelApiError  # threads are set first
    from sluice_model_api.settings import SettingsError

    parser = _parser()
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
    except SettingsError as error:
        print(f"model-api: {error}", file=sys.stderr)  # noqa: T201
        return USAGE
    except ModelApiError as error:
        print(f"model-api: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 1
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="model-api", description="A model API in the Open Inference Protocol V2.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    serve = verbs.add_parser("serve", help="serve bundles until SIGTERM (settings: MODEL_API_*)")
    serve.add_argument("--bundle", help="bundle or registry (MODEL_API_BUNDLE)")
    serve.add_argument("--host", help="address to listen on (MODEL_API_HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (MODEL_API_PORT)")
    serve.set_defaults(run=_serve)
    health = verbs.add_parser("healthcheck", help="exit 0 when the server on this machine is ready")
    health.add_argument("--live", action="store_true", help="ask for liveness instead")
    health.set_defaults(run=_healthcheck)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from sluice_model_api.serve import configure_logging, serve
    from sluice_model_api.settings import load_settings

    settings, faults = load_settings(bundle=args.bundle, host=args.host, port=args.port)
    configure_logging(settings.log_level)
    return serve(settings, faults)


def _healthcheck(args: argparse.Namespace) -> int:
    import http.client  # a probe starts every few seconds: import little

    port = int(os.environ.get("MODEL_API_PORT") or os.environ.get("PORT") or "8080")
    probe = "live" if args.live else "ready"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", f"/v2/health/{probe}")
        status = connection.getresponse().status
    except OSError as error:
        print(f"model-api: port {port}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0 if status == 200 else 1
