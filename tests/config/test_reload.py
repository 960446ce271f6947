"""What a reload changes at once, and what waits for a restart."""

from typing import Any

from edge_worker.config import LIVE, Config, diff


def _config(**sections: Any) -> Config:  # noqa: ANN401
    return Config.model_validate({"mqtt": {"host": "localhost"}, **sections})


def test_no_change_is_no_change() -> None:
    """The same file gives the same configuration, and nothing to tell."""
    reload = diff(_config(), _config())
    assert (reload.config, reload.live, reload.restart) == (_config(), (), ())


def test_live_keys_apply_and_the_others_wait() -> None:
    """What is in force afterwards is the old configuration with exactly the live changes."""
    new = _config(
        ops={"log": {"level": "debug"}, "http": {}},
        model={"score_threshold": 0.5, "engine": "torch"},
        output={"overlay": {"enabled": True, "topic": "x/{camera}"}},
        palette={"Hat": "#ff0000"},
    )
    reload = diff(_config(), new)
    assert reload.live == ("model.score_threshold", "output.overlay.enabled", "ops.log.level")
    assert reload.restart == ("model.engine", "output.overlay.topic", "palette.Hat", "ops.http")
    assert reload.config == _config(
        ops={"log": {"level": "debug"}}, model={"score_threshold": 0.5}, output={"overlay": {"enabled": True}}
    )
    assert diff(reload.config, new).live == ()


def test_settings_of_a_camera_apply_live() -> None:
    """Its limits and its own outputs, also when an override is taken back."""
    old = _config(cameras=({"outputs": {"overlay": {"enabled": True}}},))
    new = _config(cameras=({"max_age_s": None, "min_interval_s": 2.0, "outputs": {"overlay": {}}},))
    reload = diff(old, new)
    assert reload.restart == ()
    assert reload.config == new
    assert not reload.config.outputs_for(reload.config.cameras[0]).overlay.enabled


def test_an_override_of_a_camera_that_had_none_applies_live() -> None:
    """A section that is new among its outputs, or gone from them, is no other change than one of its keys."""
    without, with_overlay = _config(), _config(cameras=({"outputs": {"overlay": {"enabled": True}}},))
    added = diff(without, with_overlay)
    assert (added.live, added.restart) == (("cameras[0].outputs.overlay.enabled",), ())
    assert added.config.outputs_for(added.config.cameras[0]).overlay.enabled
    removed = diff(with_overlay, without)
    assert (removed.live, removed.restart) == (("cameras[0].outputs.overlay.enabled",), ())
    assert not removed.config.outputs_for(removed.config.cameras[0]).overlay.enabled
    assert (diff(removed.config, without).live, diff(removed.config, without).restart) == ((), ())


def test_a_camera_that_needs_a_restart_changes_as_a_whole() -> None:
    """Half of its new settings might contradict the other half."""
    reload = diff(_config(cameras=({"max_age_s": 1.0},)), _config(cameras=({"delivery": "every"},)))
    assert reload.live == ()
    assert set(reload.restart) == {"cameras[0].delivery", "cameras[0].qos", "cameras[0].max_age_s"}
    assert reload.config.cameras[0].max_age_s == 1.0


def test_another_number_of_cameras_needs_a_restart() -> None:
    """Subscriptions are made at the start."""
    reload = diff(_config(), _config(cameras=({"topic": "a/{camera}"}, {"topic": "b/{camera}"})))
    assert (reload.live, reload.restart) == ((), ("cameras",))


def test_live_keys_exist() -> None:
    """The table of live keys names keys of the configuration."""
    for key in LIVE:
        section: Any = _config()
        for step in key.split("."):
            section = getattr(section, step.removesuffix("[]"))
            section = section[0] if step.endswith("[]") else section
