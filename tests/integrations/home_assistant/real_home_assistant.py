"""A real Home Assistant with MQTT and nothing else, run by the Python of its own environment.

Orders come as lines of JSON: ``{"service": "switch.turn_on", "entity": …, "data": {…}}`` calls a service, ``{}``
nothing; each is answered with all states. Home Assistant's own clients need an account and a token; this ends with the
process.

    python real_home_assistant.py DIRECTORY PORT_OF_THE_BROKER FREE_PORT
"""
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from homeassistant import bootstrap, core, loader, setup
from homeassistant.auth import auth_manager_from_config
from homeassistant.config_entries import ConfigEntries
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.helpers.json import JSONEncoder


async def started(directory: Path, broker_port: int) -> core.HomeAssistant:
    """Start one that keeps its registries in *directory*."""
    (directory / "configuration.yaml").touch()
    hass = core.HomeAssistant(str(directory))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth_manager_from_config(hass, [], [])
    for domain, config in {
        "homeassistant": {},
        "http": {"http": {"server_host": ["127.0.0.1"], "server_port": int(sys.argv[3])}},
    }.items():
        assert await setup.async_setup_component(hass, domain, config), domain
    assert await setup.async_setup_component(hass, "mqtt", {})
    if not hass.config_entries.async_entries("mqtt"):
        form = await hass.config_entries.flow.async_init("mqtt", context={"source": "user"})
        answers = {"broker": "127.0.0.1", "port": broker_port}
        if "other_settings" in form["data_schema"].schema:  # since 2026
            answers["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        await hass.config_entries.flow.async_configure(form["flow_id"], answers)
    await hass.async_start()
    return hass


async def carry_out(hass: core.HomeAssistant, order: dict[str, object]) -> None:
    """Call the service that *order* names."""
    if "service" in order:
        domain, _, service = str(order["service"]).partition(".")
        await hass.services.async_call(
            domain, service, {"entity_id": order["entity"], **order.get("data", {})}, blocking=True
        )


def report(hass: core.HomeAssistant) -> dict[str, object]:
    """All states by entity id, and the devices by name with the name of the one they go through."""
    (entry,) = hass.config_entries.async_entries("mqtt")
    devices = device_registry.async_entries_for_config_entry(device_registry.async_get(hass), entry.entry_id)
    names = {device.id: device.name for device in devices}
    entities = entity_registry.async_entries_for_config_entry(entity_registry.async_get(hass), entry.entry_id)
    return {
        "states": {state.entity_id: {"state": state.state, **state.attributes} for state in hass.states.async_all()},
        "devices": {device.name: names.get(device.via_device_id) for device in devices},
        "entities": len(entities),
    }


async def main() -> None:
    """Obey until the orders end."""
    hass = await started(Path(sys.argv[1]), int(sys.argv[2]))
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            await carry_out(hass, json.loads(line))
            await hass.async_block_till_done(wait_background_tasks=False)
            answer = report(hass)
        except Exception as error:  # noqa: BLE001 - told to whoever gave the order
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer, cls=JSONEncoder) + "\n")
        sys.stdout.flush()
    await hass.async_stop()


asyncio.run(main())
