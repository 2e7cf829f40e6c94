"""What ``maskgate doctor`` checks about the pages."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from edge.board.findings import Check, Finding, Machine, State
from edge.config import Config
from edge.errors import MaskgateError
from edge.sinks.web import listen, own, token


def screens(_: Machine, config: Config) -> Iterator[Finding]:
    web = config.web
    if not web.enabled:
        yield Finding("screens", State.OK, "not used: web.enabled is false")
        return
    try:
        token.find(web, config.counts)
    except MaskgateError as error:
        remedy = f"maskgate token --file {token.token_path(web, config.counts)}"
        yield Finding("screens", State.PROBLEM, f"maskgate will not start: {error}", remedy)
    for trouble in own.read_own(own.folder_of(config.counts)).troubles:
        yield Finding("screens", State.WARNING, trouble, "see docs/how-to/screens.md, Your own words and logo")
    try:
        listen.bound(web.host, web.port).close()
    except OSError as error:
        why = listen.hindrance(web.host, web.port, error)
        if error.errno != errno.EADDRINUSE or not listen.is_served(web.host, web.port):
            yield Finding("screens", State.WARNING, f"cannot be served: {why.problem}", why.remedy)
            return
    yield Finding("screens", State.OK, f"at {listen.own_url(web.host, web.port)}")


CHECKS: tuple[Check, ...] = (screens,)
