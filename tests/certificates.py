"""A temporary private certificate authority, made with openssl as in mosquitto-tls(7)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


class Authority:
    """Issues certificates that only the tests trust."""

    def __init__(self, directory: Path, name: str = "Test CA") -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self.cert, self._key = directory / "ca.crt", directory / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-subj", f"/CN={name}", "-keyout", self._key, "-out", self.cert),
        )

    def issue(self, name: str, *, alt_names: str = "", days: int = 2, key_password: str = "") -> Certificate:
        """Issue a certificate for *name*; *alt_names* such as ``IP:127.0.0.1,DNS:localhost``; *days* < 0: expired."""
        base = self._directory / name
        cert, key, request = base.with_suffix(".crt"), base.with_suffix(".key"), base.with_suffix(".csr")
        protection = ["-passout", f"pass:{key_password}"] if key_password else ["-nodes"]
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *protection),
            *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
        )
        extensions = base.with_suffix(".ext")
        # Python 3.13 requires the key identifiers of RFC 5280.
        identifiers = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        extensions.write_text(identifiers + (f"subjectAltName={alt_names}\n" if alt_names else ""))
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", str(days), "-extfile", extensions, "-out", cert),
        )
        return Certificate(cert, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
