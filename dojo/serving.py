"""`kata report --serve`: the page on this machine only, made anew when something changed."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dojo.curriculum import Curriculum, Kata
from dojo.gallery import Gallery
from dojo.overview import build
from dojo.page import LIVE_POLICY, TEMPLATES, ReportError, html, opened, show_in_browser, version
from dojo.progress import states
from dojo.results import UNFINISHED
from dojo.store import FILE, Store

HOSTS = ("127.0.0.1", "localhost")
PENDING = 30.0  # seconds that a judgement under way keeps the page as it was
HOUR = 3600.0  # what is due changes by the clock alone


class Live:
    """The newest page. `draws`: pictures of newly green katas are drawn in the background."""

    def __init__(self, curriculum: Curriculum, gallery: Gallery, draws: bool):
        self.curriculum, self.gallery, self.draws = curriculum, gallery, draws
        self.lock = threading.Lock()
        self.version, self.text = "", ""
        self.mark: object = None
        self.tried: set[str] = set()
        self.drawing: threading.Thread | None = None
        self.told = ""

    def current(self) -> tuple[str, str]:
        """(version, page); `ReportError` only while there was never one."""
        with self.lock:
            mark = self._mark()
            if mark != self.mark:
                try:
                    self._renew(mark)
                except ReportError as error:
                    if not self.text:
                        raise
                    self._tell(str(error))
            return self.version, self.text

    def close(self) -> None:
        """End the drawing under way."""
        self.gallery.stop()
        if self.drawing is not None:
            self.drawing.join(5)

    def _mark(self) -> object:
        """Cheap signs of a change: a file is younger or larger, a picture came, an hour went."""
        root = self.curriculum.root
        files = [root / FILE, (root / FILE).with_name(f"{FILE.name}-wal"), self.gallery.folder]
        for kata in self.curriculum.katas:
            files += [kata.stub, kata.suite]
        found: list[object] = [time.time() // HOUR]
        for path in files:
            try:
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size))
            except OSError:
                found.append(None)
        return found

    def _renew(self, mark: object) -> None:
        with opened(self.curriculum) as store:
            if self.text and _pending(store):
                return
            overview = build(self.curriculum, store, self.gallery, time.time())
            missing = self.gallery.missing(states(self.curriculum, store)) if self.draws else []
        self.version, self.text = version(overview), html(overview, live=True)
        self.mark = mark
        self._draw(missing)

    def _draw(self, missing: list[Kata]) -> None:
        """In the background, each picture once."""
        new = [kata for kata in missing if self.gallery.place(kata).name not in self.tried]
        if new and (self.drawing is None or not self.drawing.is_alive()):
            self.tried |= {self.gallery.place(kata).name for kata in new}
            self.drawing = threading.Thread(target=self._draw_now, args=(new,), daemon=True)
            self.drawing.start()

    def _draw_now(self, katas: list[Kata]) -> None:
        for kata in katas:
            if self.gallery.stopped:
                return
            why = self.gallery.draw(kata)
            if why:
                self._tell(f"no picture of {kata.name}: {why}")
        self.mark = None  # what became green meanwhile has its turn now

    def _tell(self, text: str) -> None:
        if text != self.told:
            self.told = text
            print(f"kata: {text}", file=sys.stderr)


def _pending(store: Store) -> bool:
    """Whether a judgement is under way: it is recorded as unfinished until its end."""
    sql = "SELECT count(*) FROM judgements WHERE verdict = ? AND total > 0 AND started > ?"
    return store.db.execute(sql, (UNFINISHED, time.time() - PENDING)).fetchone()[0] > 0


class Handler(BaseHTTPRequestHandler):
    """Three addresses: the page, its version, its script."""

    live: Live

    def do_GET(self) -> None:
        # another name for 127.0.0.1 is how a foreign site would read this page
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in HOSTS:
            self._send(403, "text/plain", f"only {' and '.join(HOSTS)} are answered\n")
            return
        path = self.path.split("?")[0]
        try:
            if path == "/":
                self._send(200, "text/html", self.live.current()[1])
            elif path == "/version":
                self._send(200, "text/plain", self.live.current()[0])
            elif path == "/live.js":
                text = (TEMPLATES / "live.js").read_text(encoding="utf-8")
                self._send(200, "text/javascript", text)
            else:
                self._send(404, "text/plain", "there is only one page: /\n")
        except (ReportError, OSError, sqlite3.Error) as error:
            self._send(500, "text/plain", f"{error}\n")

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", f"{LIVE_POLICY}; frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A poll each second is nothing to be told."""


class Server(ThreadingHTTPServer):
    """On Windows two programs could share an address that may be used again."""

    allow_reuse_address = sys.platform != "win32"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def serve(curriculum: Curriculum, gallery: Gallery, port: int, draws: bool, show: bool) -> int:
    """Answer until Ctrl-C, which is the way to end it: exit status 0."""
    live = Live(curriculum, gallery, draws)
    handler = type("LiveHandler", (Handler,), {"live": live})
    try:
        server = Server(("127.0.0.1", port), handler)
    except OSError as error:
        raise ReportError(f"port {port} cannot be used: {error.strerror or error}") from None
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        live.current()
        print(f"{address} shows your progress as it changes; Ctrl-C ends it", flush=True)
        if show:
            show_in_browser(address)
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        print("ended")
    finally:
        live.close()
        server.server_close()
    return 0
