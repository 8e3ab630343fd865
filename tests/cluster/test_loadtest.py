"""``make load-cluster`` against a server in the cluster: counts come back, nothing stays behind."""

import asyncio
import json
import textwrap
from pathlib import Path

import pytest
from tests.cluster.test_images import built

from loadtests import cluster
from sluice.analysis.loadrun import LoadRun
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, JOB, NAMESPACE, SERVICE
from sluice.reports import document

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

PLAIN = Path(__file__).parents[1] / "loadtests" / "plain.py"
SERVER = textwrap.dedent(
    """
    import itertools, os
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    number, bad = itertools.count(), int(os.environ["BAD"])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            failed = next(number) % 100 < bad
            self.send_response(500 if failed else 200)
            self.send_header("content-length", "2")
            self.send_header("x-sluice-version", "v1")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
    """
)


@pytest.fixture
async def server(request: pytest.FixtureRequest, kube: KubeClient, namespace: str) -> str:
    """A Service of a server that fails so many of 100 requests; its namespace is restricted."""
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await kube.patch(NAMESPACE, namespace, None, restricted)
    labels = {"app": "server"}
    await kube.create(CONFIG_MAP.new("server", namespace, data={"server.py": SERVER}))
    container = {
        "name": "server",
        "image": built("loadtest"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/app/server.py"],
        "env": [{"name": "BAD", "value": str(request.param)}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": "app", "configMap": {"name": "server"}}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    await kube.create(DEPLOYMENT.new("server", namespace, spec=spec))
    ports = [{"port": 80, "targetPort": "http"}]
    await kube.create(SERVICE.new("server", namespace, spec={"selector": labels, "ports": ports}))
    async with asyncio.timeout(180):
        while True:
            known = await kube.get(DEPLOYMENT, "server", namespace)
            if known is not None and known.get("status", {}).get("readyReplicas"):
                break
            await asyncio.sleep(0.5)
    return f"http://server.{namespace}"


@pytest.mark.parametrize(
    ("server", "code"),
    [pytest.param(0, 0, id="passed"), pytest.param(20, 1, id="failed")],
    indirect=["server"],
)
async def test_workers_in_pods_are_judged_here(
    server: str, code: int, kube: KubeClient, namespace: str, tmp_path: Path
) -> None:
    words = ["--url", server, "-n", namespace, "--image", built("loadtest"), "--workers", "2"]
    words += ["-f", str(PLAIN), "--rate", "40", "--length", "10s", "--late-ms", "5000"]
    words += ["--threshold", "rate<0.05", "--out", str(tmp_path)]
    assert await asyncio.to_thread(cluster.main, words) == code
    counted = document.parse(LoadRun, (tmp_path / "run.json").read_bytes())
    assert counted.processes == 2
    assert counted.url == server
    assert abs(counted.whole().total - 400) < 5 * 400**0.5
    assert counted.whole().lost == 0
    assert counted.versions == ("v1",)
    assert (tmp_path / "report.html").exists()
    left = [item["metadata"]["name"] for item in await kube.list(JOB, namespace)]
    assert left == [], json.dumps(left)


@pytest.mark.parametrize("server", [0], indirect=True)
async def test_an_image_that_is_not_there_is_told(
    server: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cluster, "STUCK_S", 3.0)
    words = ["--url", server, "-n", namespace, "--image", "sluice/loadtest:0.0.0-none"]
    words += ["-f", str(PLAIN), "--rate", "40", "--threshold", "rate<0.05"]
    code = await asyncio.to_thread(cluster.main, [*words, "--out", str(tmp_path)])
    assert code == 3
    assert "cannot start" in capsys.readouterr().err
