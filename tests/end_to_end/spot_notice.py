"""What a spot machine of AWS is told, on a host of the tests: its own address for it, and the protocol IMDSv2.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html: 404 until a notice is there.
`python spot_notice.py FILE` answers at that address; what is in the file, once there is one, is the notice.
"""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import final

import yaml

from tests.end_to_end.hosts import Host

ADDRESS = "169.254.169.254"
TOKEN_PATH, NOTICE_PATH = "/latest/api/token", "/latest/meta-data/spot/instance-action"
TTL_HEADER, TOKEN_HEADER = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
NOTICE = '{"action": "terminate", "time": "2026-11-28T08:22:00Z"}'
CLUSTER_FILE = Path(__file__).parent.parent.parent / "cluster.yaml"


def watching_command(folder: Path) -> str:
    """The one of cluster.yaml by which a worker waits for its notice, with its own files in the folder."""
    commands: list[str] = yaml.safe_load(CLUSTER_FILE.read_text(encoding="utf-8"))["worker_start_ray_commands"]
    (found,) = (command for command in commands if NOTICE_PATH.removeprefix("/latest") in command)
    return found.replace("/tmp/", f"{folder}/")  # noqa: S108 - what stands there


@contextlib.contextmanager
def told_on(host: Host, notice: Path) -> Iterator[None]:
    """Within, the host asks the address of AWS in vain until the file is there."""
    subprocess.run([*host.within, "ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    server = subprocess.Popen(
        [*host.within, sys.executable, "-m", __name__, str(notice)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield
    finally:
        server.kill()
        server.communicate()
        subprocess.run([*host.within, "ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo"], check=True)


@final
class Answers(BaseHTTPRequestHandler):
    """A token to whoever puts for one and says how long it is to last, the notice to whoever shows the token."""

    notice = Path()
    token = secrets.token_hex(8)

    def do_PUT(self) -> None:
        """Ask for a token."""
        is_asked = self.path == TOKEN_PATH and self.headers.get(TTL_HEADER, "").isdecimal()
        self._answer(200 if is_asked else 400, self.token)

    def do_GET(self) -> None:
        """Ask for the notice."""
        if self.headers.get(TOKEN_HEADER) != self.token:
            self._answer(401, "")
        else:
            self._answer(200 if self.path == NOTICE_PATH and self.notice.exists() else 404, NOTICE)

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode("utf-8") if status == 200 else b"")


if __name__ == "__main__":
    Answers.notice = Path(sys.argv[1])
    with HTTPServer((ADDRESS, 80), Answers) as answering:
        print("ready", flush=True)  # noqa: T201 - for whoever started it
        answering.serve_forever()
