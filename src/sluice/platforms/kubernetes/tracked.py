"""What tracked ConfigMaps and Secrets hold: a change of it is a new revision."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.errors import Fault, SpecError
from sluice.kube.client import KubeClient
from sluice.kube.kinds import CONFIG_MAP, SECRET, Kind
from sluice.platforms.kubernetes.extras import TrackedConfig

Object = dict[str, Any]
# 16 MB and about 40 ms for every try: a short password cannot be guessed from the hash that pods
# carry. The same work is done once for each version of the Secrets.
_SCRYPT_N, _SCRYPT_R = 1 << 14, 8


class TrackedReader:
    """Reads tracked config.

    Args:
        client: The API server.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._hashes: dict[tuple[str, tuple[str, ...]], tuple[tuple[str, ...], str]] = {}

    async def read(
        self, release: str, namespace: str, *, config_maps: Sequence[str], secrets: Sequence[str]
    ) -> TrackedConfig:
        """What they hold now.

        Args:
            release: Its key; salts the hash of Secrets.
            namespace: Where they are.
            config_maps: Names.
            secrets: Names.

        Raises:
            SpecError: some of them are not there: every one, by path.
            TransientError: they cannot be read now.
            RefusedError: we may not read them.
        """
        if not config_maps and not secrets:
            return TrackedConfig()
        faults: list[Fault] = []
        maps = await self._all(CONFIG_MAP, namespace, config_maps, "configMaps", faults)
        keys = await self._all(SECRET, namespace, secrets, "secrets", faults)
        if faults:
            raise SpecError(faults)
        content = {
            name: {part: item[part] for part in ("data", "binaryData") if item.get(part)}
            for name, item in sorted(maps.items())
        }
        secrets_hash = self._hash(release, keys) if keys else ""
        text = json.dumps([content, secrets_hash], sort_keys=True, separators=(",", ":"))
        return TrackedConfig(
            config_maps=content,
            secrets_hash=secrets_hash,
            digest=hashlib.sha256(text.encode()).hexdigest(),
        )

    async def _all(
        self, kind: Kind, namespace: str, names: Sequence[str], field: str, faults: list[Fault]
    ) -> dict[str, Object]:
        found = {}
        for i, name in enumerate(names):
            obj = await self._client.get(kind, name, namespace)
            if obj is None:
                reason = f"there is no {kind.kind} {name!r} in namespace {namespace}: create it"
                faults.append(Fault(path=f"spec.tracked.{field}[{i}]", reason=reason))
            else:
                found[name] = obj
        return found

    def _hash(self, release: str, secrets: Mapping[str, Object]) -> str:
        names = tuple(sorted(secrets))
        versions = tuple(
            f"{secrets[name]['metadata'].get('uid')}/{secrets[name]['metadata']['resourceVersion']}"
            for name in names
        )
        known = self._hashes.get((release, names))
        if known is not None and known[0] == versions:
            return known[1]
        content = {name: secrets[name].get("data") or {} for name in names}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        hashed = hashlib.scrypt(
            text.encode(), salt=release.encode(), n=_SCRYPT_N, r=_SCRYPT_R, p=1, dklen=16
        ).hex()
        self._hashes[release, names] = (versions, hashed)
        return hashed
