"""The command line ``model-api``: serve, healthcheck, bundles."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

# Before numpy is imported anywhere: a pool of threads per library costs memory and thrashes
# on the two cores that a replica has.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

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
    _add_bundle(verbs)
    batch = verbs.add_parser("batch", help="score a CSV or Parquet file")
    batch.add_argument("--bundle", type=Path, required=True)
    batch.add_argument("--digest", default="", help="digest that the bundle must have")
    batch.add_argument("--input", type=Path, required=True, help=".csv or .parquet")
    batch.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    batch.add_argument("--quarantine", type=Path, help="JSON lines of rows that break the contract")
    batch.add_argument("--chunk", type=int, default=10_000, help="rows scored at once")
    batch.set_defaults(run=_batch)
    stream = verbs.add_parser("stream", help="answer JSON lines from stdin on stdout")
    stream.add_argument("--bundle", type=Path, required=True)
    stream.add_argument("--digest", default="", help="digest that the bundle must have")
    stream.set_defaults(run=_stream)
    return parser


def _add_bundle(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    bundle = verbs.add_parser("bundle", help="build, verify, copy or show a bundle")
    actions = bundle.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="convert and prove a fitted scikit-learn model")
    build.add_argument("source", help="module:function that returns a Recipe")
    build.add_argument("--out", type=Path, default=Path(".artifacts/models"))
    build.add_argument("--trust", action="append", default=[], help="type a skops file may hold")
    build.set_defaults(run=_bundle_build)
    verify = actions.add_parser("verify", help="check digests, schema, parity; warm up")
    verify.add_argument("path", type=Path)
    verify.add_argument("--digest", default="", help="digest that it must have")
    verify.add_argument("--trust", action="append", default=[], help="type a skops file may hold")
    verify.set_defaults(run=_bundle_verify)
    copy = actions.add_parser("copy", help="put a bundle with this digest into a registry folder")
    copy.add_argument("path", type=Path, help="bundle: folder or tar")
    copy.add_argument("registry", type=Path, help="it goes to REGISTRY/name/version")
    copy.add_argument("--digest", required=True, help="digest that it must have")
    copy.set_defaults(run=_bundle_copy)
    show = actions.add_parser("show", help="print what a bundle is")
    show.add_argument("path", type=Path)
    show.add_argument("--json", action="store_true", help="the manifest and its digest")
    show.set_defaults(run=_bundle_show)


def _serve(args: argparse.Namespace) -> int:
    from sluice_model_api.serve import configure_logging, serve
    from sluice_model_api.settings import load_settings

    settings, faults = load_settings(bundle=args.bundle, host=args.host, port=args.port)
    configure_logging(settings.log_level)
    return serve(settings, faults)


def _healthcheck(args: argparse.Namespace) -> int:
    import http.client  # a probe starts every few seconds: import little

    given = (os.environ.get(name, "") for name in ("MODEL_API_PORT", "PORT"))
    # Kubernetes sets MODEL_API_PORT=tcp://… beside a Service named model-api.
    port = int(next((value for value in given if value.isdigit()), "8080"))
    probe = "live" if args.live else "ready"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", f"/v2/health/{probe}")
        status = connection.getresponse().status
    except OSError as error:
        print(f"model-api: port {port}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        connection.close()
    return 0 if status == 200 else 1


def _bundle_build(args: argparse.Namespace) -> int:
    from sluice_model_api.bundle import command

    bundle = command.build(args.source, args.out, trust=args.trust)
    print(f"{bundle.origin} {bundle.digest}")  # noqa: T201
    note = bundle.manifest.training.get("conversion")
    if note:
        print(note, file=sys.stderr)  # noqa: T201
    return 0


def _bundle_verify(args: argparse.Namespace) -> int:
    from sluice_model_api.bundle import command

    bundle = command.verify(args.path, digest=args.digest, trust=args.trust)
    print(f"{bundle.origin} {bundle.digest} is whole and gives its parity sample")  # noqa: T201
    return 0


def _bundle_copy(args: argparse.Namespace) -> int:
    from sluice_model_api.bundle.place import copy_bundle

    bundle = copy_bundle(args.path, args.registry, digest=args.digest)
    print(f"{bundle.origin} {bundle.digest}")  # noqa: T201
    return 0


def _bundle_show(args: argparse.Namespace) -> int:
    import msgspec
    import orjson

    from sluice_model_api.bundle import archive, command

    bundle = archive.read_bundle(args.path)
    if args.json:
        document = {"digest": bundle.digest, "manifest": msgspec.to_builtins(bundle.manifest)}
        print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())  # noqa: T201
    else:
        print(command.describe(bundle))  # noqa: T201
    return 0


def _batch(args: argparse.Namespace) -> int:
    from sluice_model_api.batch import run_batch

    result = run_batch(
        args.bundle,
        args.input,
        args.output,
        quarantine=args.quarantine,
        chunk=args.chunk,
        digest=args.digest,
    )
    print(  # noqa: T201
        f"{result.rows} rows: {result.scored} scored, {result.quarantined} set aside "
        f"({result.digest})",
        file=sys.stderr,
    )
    return 0


def _stream(args: argparse.Namespace) -> int:
    from sluice_model_api.bundle.archive import read_bundle
    from sluice_model_api.model import Model
    from sluice_model_api.stream import run_stream

    model = Model(read_bundle(args.bundle, digest=args.digest))
    scored, failed = run_stream(model, sys.stdin.fileno(), sys.stdout.fileno())
    print(f"{scored + failed} lines: {scored} scored, {failed} failed", file=sys.stderr)  # noqa: T201
    return 0
