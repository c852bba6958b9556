"""What is wrong with a job's address is said before anything waits for it."""

import socket
import subprocess
import sys

import pytest

from mla_jax import processes
from mla_jax.errors import UserError


@pytest.mark.parametrize("interface", ["localhost", ""])
def test_a_port_in_use_is_named(interface: str) -> None:
  with socket.create_server((interface, 0)) as server:
    port = server.getsockname()[1]
    with pytest.raises(UserError, match=f"port {port} .*in use.*choose another"):
      processes.join(f"localhost:{port}", 2, 0, found=False)


@pytest.mark.parametrize("address", ["host", ":1234", "host:", "host:http", "host:0", "h:99999"])
@pytest.mark.parametrize("process", [0, 1])
def test_an_address_that_is_none(address: str, process: int) -> None:
  with pytest.raises(UserError, match=r"--coordinator=.*HOST:PORT"):
    processes.join(address, 2, process, found=False)


@pytest.mark.parametrize(
    ("coordinator", "count", "process", "found"),
    [("h:1", None, None, False), (None, 2, 1, False), ("h:1", 2, 0, True)],
)
def test_all_three_or_none(coordinator, count, process, found) -> None:
  with pytest.raises(UserError, match="give all three, or --distributed alone"):
    processes.join(coordinator, count, process, found=found)


@pytest.mark.parametrize("process", [-1, 2])
def test_a_number_outside_the_job(process: int) -> None:
  with pytest.raises(UserError, match="from 0 to below 2"):
    processes.join("localhost:1", 2, process, found=False)


@pytest.mark.parametrize("process", [0, 1])
def test_a_process_that_waits_in_vain_for_the_others_says_so(process: int) -> None:
  with socket.create_server(("localhost", 0)) as server:
    port = server.getsockname()[1]
  code = f"""
from mla_jax import processes
processes._ARRIVAL_SECONDS = 2
processes.join("localhost:{port}", 2, {process}, found=False)
"""
  ended = subprocess.run(
      [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
  )
  assert ended.returncode
  assert (
      f"waiting for the 2 processes of the job at localhost:{port}, 2 s at most: check"
      in ended.stderr
  )
