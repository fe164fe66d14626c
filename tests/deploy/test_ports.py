"""What a run opens to the network."""

from __future__ import annotations

import subprocess
import sys

import pytest

LISTENS = """
import psutil, ray
from deploy.selfplay import connect

@ray.remote
class Actor:
    def ready(self):
        return ray.util.get_node_ip_address()

connect()
actor = Actor.remote()
print("node", ray.get(actor.ready.remote()))
here = psutil.Process()
for process in (here, *here.children(recursive=True)):
    for socket in process.net_connections("inet"):
        if socket.status == psutil.CONN_LISTEN:
            print("listens", socket.laddr.ip, process.name())
"""


@pytest.mark.integration
def test_a_cluster_that_a_run_starts_for_itself_listens_on_this_machine_only() -> None:
    ran = subprocess.run([sys.executable, "-c", LISTENS], capture_output=True, text=True, check=True, timeout=200)
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["node", "127.0.0.1"] in lines
    listening = [line for line in lines if line[0] == "listens"]
    assert len(listening) > 3 and {ip for _, ip, *_ in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, listening
