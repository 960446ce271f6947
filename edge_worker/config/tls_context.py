"""The TLS context of a connection; its files are read at each attempt to connect."""

from __future__ import annotations

import os
import ssl
from _ssl import _test_decode_cert  # type: ignore[attr-defined]  # no public function reads a certificate's dates
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from edge_worker.common.errors import ConfigError
from edge_worker.config.credentials import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from edge_worker.config.mqtt import TlsConfig

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_context(config: TlsConfig) -> ssl.SSLContext:
    """Return the context that *config* describes.

    Raises:
        ConfigError: a file is missing, unreadable or has unexpected content; names the key.
    """
    context = _authorities(config)
    context.minimum_version = _VERSIONS[config.min_version]
    if config.alpn is not None:
        context.set_alpn_protocols([config.alpn])
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert_file is not None:
        _load_own_certificate(context, config, config.cert_file)
    return context


def certificate_expiries(config: TlsConfig | None) -> dict[str, float]:
    """Return when the certificates of ``mqtt.tls`` expire, seconds since 1970, by ``ca_file`` and ``cert_file``.

    Of several in ``ca_file``, the first to expire counts. Files that are not configured or cannot be read are left out.
    The broker's certificate is not included.
    """
    found: dict[str, float] = {}
    if config is None:
        return found
    with suppress(OSError, ssl.SSLError, ValueError):
        if config.ca_file is not None:
            certificates = ssl.create_default_context(cafile=config.ca_file).get_ca_certs()
            found["ca_file"] = min(ssl.cert_time_to_seconds(str(one["notAfter"])) for one in certificates)
    with suppress(OSError, ssl.SSLError, ValueError):
        if config.cert_file is not None:
            found["cert_file"] = ssl.cert_time_to_seconds(str(_test_decode_cert(config.cert_file)["notAfter"]))
    return found


def _authorities(config: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(_problem(config.ca_file, error, "PEM certificates"), key="mqtt.tls.ca_file") from error
    if config.ca_file is not None:
        # From 3.13 on, Python requires extensions that private CAs made by Mosquitto's own instructions lack. Whoever
        # configures a CA file trusts it; signature, dates and host name are still checked.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _load_own_certificate(context: ssl.SSLContext, config: TlsConfig, certificate: Path) -> None:
    secret = config.key_password_file  # without a password, OpenSSL would prompt on the terminal, for ever
    password = "" if secret is None else read_secret(secret, "mqtt.tls.key_password_file")
    try:
        context.load_cert_chain(certificate, config.key_file, password=password)
    except ssl.SSLError as error:
        hint = "a PEM certificate with its key; an encrypted key needs mqtt.tls.key_password_file"
        raise ConfigError(_problem(certificate, error, hint), key="mqtt.tls.cert_file") from error
    except OSError as error:
        key, file = ("key_file", config.key_file) if os.access(certificate, os.R_OK) else ("cert_file", certificate)
        raise ConfigError(f"cannot read {file}: {error.strerror}", key=f"mqtt.tls.{key}") from error


def _problem(file: Path | None, error: Exception, expected: str) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{file} is not usable ({getattr(error, 'reason', None) or error}); it should hold {expected}"
    return f"cannot read {file}: {error.strerror if isinstance(error, OSError) else error}"
