import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.errors import StateError, TransientError
from sluice.platforms.local import ports
from sluice.platforms.local.ports import PortPool, in_use


def free_ports(count: int) -> range:
    """A row of ports that nobody uses now, below those of outgoing connections."""
    for first in range(30_500, 32_000, count):
        row = range(first, first + count)
        if not any(in_use(port) for port in row):
            return row
    pytest.skip("no row of free ports")


def test_no_two_leases_are_of_one_port(tmp_path: Path) -> None:
    row = free_ports(4)
    one, other = PortPool(row, folder=tmp_path), PortPool(row, folder=tmp_path)
    leases = [pool.take() for pool in (one, other, one, other)]
    assert {lease.port for lease in leases} == set(row)
    with pytest.raises(TransientError, match="is in use"):
        one.take()
    for lease in leases:
        lease.release()


def test_a_port_that_somebody_listens_on_is_passed_over(tmp_path: Path) -> None:
    row = free_ports(2)
    with socket.create_server(("127.0.0.1", row[0])):
        assert in_use(row[0])
        for _ in range(3):
            lease = PortPool(row, folder=tmp_path).take()
            assert lease.port == row[1]
            lease.release()
    assert not in_use(row[0])


def test_a_released_port_comes_back_only_after_all_others(tmp_path: Path) -> None:
    pool = PortPool(free_ports(5), folder=tmp_path)
    taken = []
    for _ in range(10):
        lease = pool.take()
        taken.append(lease.port)
        lease.release()
    assert taken[:5] == taken[5:]
    assert len(set(taken)) == 5


def test_a_lease_lasts_as_long_as_the_process_that_inherited_it(tmp_path: Path) -> None:
    row = free_ports(1)
    pool = PortPool(row, folder=tmp_path)
    lease = pool.take()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=[lease.descriptor],
    ) as holder:
        lease.release()
        with pytest.raises(TransientError):
            pool.take()
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait()
    lease = pool.take()
    assert lease.port == row[0]
    lease.release()


def test_leases_in_a_folder_of_another_user_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports.tempfile, "gettempdir", lambda: str(tmp_path))
    pool = PortPool(free_ports(1))
    pool.take().release()
    folder = tmp_path / f"sluice-ports-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rename(tmp_path / "theirs")
    folder.symlink_to(tmp_path / "theirs")
    with pytest.raises(StateError, match="belongs to another user"):
        PortPool(free_ports(1)).take()
