"""A record's server in this process, on a port of its own."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from proxy.errors import StoreError
from proxy.record.addresses import DocumentId, new_document_id, url_of
from proxy.record.document import ROOT, Document, Tree
from proxy.record.sync import SyncServer
from proxy.record_server import RecordServer


class BlobsInMemory:
    """What the blob store is to the server."""

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[str, bytes]] = {}

    def put(self, media_type: str, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = media_type, content
        return sha256

    def get(self, sha256: str) -> bytes:
        return self._found(sha256)[1]

    def media_type(self, sha256: str) -> str:
        return self._found(sha256)[0]

    def _found(self, sha256: str) -> tuple[str, bytes]:
        if sha256 not in self.blobs:
            raise StoreError(f"there is no blob {sha256}")
        return self.blobs[sha256]


class Book:
    """A document and its id, as their owner has them: written, and announced."""

    def __init__(self, sync: SyncServer, **content: Tree) -> None:
        self.sync = sync
        self.id: DocumentId = new_document_id()
        self.url = url_of(self.id)
        self.document = Document()
        self.write(**content)
        sync.add(self.id, self.document)

    def write(self, **content: Tree) -> None:
        """Write keys in one transaction, and announce it."""
        with self.document.write() as writer:
            for key, value in content.items():
                writer.put_tree(ROOT, key, value)
        self.sync.changed(self.id)


@asynccontextmanager
async def open_server(
    sync: SyncServer | None = None, **options: Any
) -> AsyncIterator[RecordServer]:
    """Serve while the context lasts."""
    server = RecordServer(sync or SyncServer("kmux-test"), BlobsInMemory(), **options)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield server
        nursery.cancel_scope.cancel()
