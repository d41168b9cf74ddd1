"""A web server of one directory, for the machines of a lab: `python -m lab.mirror DIRECTORY ADDRESS PORT`."""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    directory, address, port = sys.argv[1:]
    handler = partial(SimpleHTTPRequestHandler, directory=directory)
    ThreadingHTTPServer((address, int(port)), handler).serve_forever()


if __name__ == "__main__":
    main()
