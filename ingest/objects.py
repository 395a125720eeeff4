"""Objects in a bucket of S3 or of what speaks its protocol, as the durable state uses them.

Always true: what `create` and `swap` wrote was written by nobody else meanwhile, however often a request was repeated; an object
that was written is there for every later read (S3 is consistent, and so must be what stands in for it).
Deliberately unknown: what the objects hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

if TYPE_CHECKING:  # names that the package has for checkers only
    from obstore import PutMode
    from obstore.store import S3Config

SCHEME = "s3://"
PIECE = 16 << 20
"""Bytes of an object that are read at once on their way to a file."""


class TakenError(Exception):
    """Somebody else wrote the object first; the text names it."""


class Objects:
    """The objects below one prefix of a bucket. Calls repeat what fails on the way, for some minutes; any thread.

    OSError from any of them: the store refuses or does not answer, and whether something was written is unknown.
    """

    def __init__(self, url: str, properties: Mapping[str, str]) -> None:
        """url: s3://bucket/prefix. properties: of the client, such as `endpoint` or `region`. ValueError when they do not fit."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ValueError(f"{url} does not name a bucket; write s3://bucket/prefix")
        insecure = properties.get("endpoint", "").startswith("http://")
        try:
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                config=cast("S3Config", dict(properties)),
                client_options={"allow_http": insecure},
            )
        except BaseError as error:
            raise ValueError(f"cannot use {url}: {_first_line(error)}; correct the properties under `s3`") from error
        self.url = url.rstrip("/")

    def create(self, key: str, content: bytes) -> None:
        """Write a new object. TakenError when there is one with other content."""
        try:
            obstore.put(self._store, key, content, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            # An attempt whose answer was lost may have written it.
            if self.get(key) != content:
                raise TakenError(f"{self.url}/{key} was written by somebody else") from None
        except BaseError as error:
            raise self._refused("write", key, error) from error

    def swap(self, key: str, content: bytes, tag: str | None) -> str:
        """Write an object that is still the one with this tag (None: that is not there yet); returns its new tag.

        TakenError when it is not.
        """
        try:
            mode: PutMode = {"e_tag": tag} if tag is not None else "create"
            return str(obstore.put(self._store, key, content, mode=mode, use_multipart=False)["e_tag"])
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            found = self.tagged(key)
            if found is None or found[0] != content:
                raise TakenError(f"{self.url}/{key} was written by somebody else") from None
            return found[1]
        except BaseError as error:
            raise self._refused("write", key, error) from error

    def get(self, key: str) -> bytes | None:
        """What an object holds; None when there is none."""
        found = self.tagged(key)
        return found[0] if found is not None else None

    def tagged(self, key: str) -> tuple[bytes, str] | None:
        """What an object holds and its tag; None when there is none."""
        try:
            result = obstore.get(self._store, key)
            return bytes(result.bytes()), str(result.meta["e_tag"])
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._refused("read", key, error) from error

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix` and a slash, in order."""
        try:
            return sorted(meta["path"] for piece in obstore.list(self._store, f"{prefix}/") for meta in piece)
        except BaseError as error:
            raise self._refused("list", prefix, error) from error

    def upload(self, path: Path, key: str) -> None:
        """Write an object from a file; in parts when it is large."""
        try:
            obstore.put(self._store, key, path)
        except BaseError as error:
            raise self._refused("write", key, error) from error

    def download(self, key: str, path: Path) -> None:
        """Write an object to a file, which is whole or not there. OSError also when there is no such object."""
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("wb") as file:
                for piece in obstore.get(self._store, key).stream(min_chunk_size=PIECE):
                    file.write(piece)
        except BaseError as error:
            raise self._refused("read", key, error) from error
        os.replace(temporary, path)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        try:
            if keys:
                obstore.delete(self._store, list(keys))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise self._refused("delete", keys[0], error) from error

    def _refused(self, what: str, key: str, error: BaseError) -> OSError:
        return OSError(f"cannot {what} {self.url}/{key}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    """What the client says, without its own debugging text."""
    return str(error).partition("\n")[0].strip()
