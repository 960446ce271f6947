"""All log events of the worker: message, levels, fields and recommended action.

``docs/operations.md`` contains this list; a test compares it with the code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

NOTHING: Final = "nothing"


class LogEvent(str):
    """The message of an event, and its description.

    Attributes:
        levels: of its log lines, such as ``info`` or ``info, warning``.
        fields: names of the fields that are logged with it.
        action: what an operator should do, for the documentation.
    """

    __slots__ = ("action", "fields", "levels")

    levels: str
    fields: tuple[str, ...]
    action: str

    def __new__(cls, words: str, levels: str, fields: str = "", action: str = NOTHING) -> Self:
        """Describe the event whose message is *words*; *fields* are separated by spaces."""
        event = super().__new__(cls, words)
        event.levels, event.fields, event.action = levels, tuple(fields.split()), action
        return event


# The worker: start, state, stop
STARTING = LogEvent("starting", "info", "version node config")
STATE = LogEvent("state", "info", "old new reason detail", "what the reason asks for: see troubleshooting")
STOPPED = LogEvent("stopped", "info", "account")
FATAL = LogEvent("defect", "critical", "problem", "report it with the trace; the service manager restarts the worker")
CONFIGURATION_WARNING = LogEvent(
    "configuration", "warning", "problem", "change the key it names, or leave it on purpose"
)
CONFIGURATION_RELOADED = LogEvent(
    "configuration reloaded", "info", "applied needs_restart", "restart for the keys in `needs_restart`"
)
CONFIGURATION_NOT_RELOADED = LogEvent(
    "configuration not reloaded", "error", "problem", "correct the file and reload again; the old settings stay"
)
DIRECTORY_UNUSABLE = LogEvent(
    "nothing can be kept over a restart",
    "warning",
    "directory problem",
    "free space, `StateDirectory=`, `CacheDirectory=`",
)
CLOCK_JUMPED = LogEvent("the clock was set, or the machine slept", "warning", "ahead_s", "check the time server")
CAMERA_CLOCK = LogEvent(
    "all frames of a camera are too old: do its clock and ours differ?",
    "warning",
    "camera",
    "synchronise both clocks, or set `max_age_s: null`",
)
SYSTEMD_UNREACHABLE = LogEvent(
    "the service manager could not be notified", "warning", "problem", "check `NotifyAccess=`"
)
HEALTH_PAGE = LogEvent("health page", "debug", "request")
HEALTH_PAGE_FAILED = LogEvent("health page could not be made", "error", "page", "report it with the trace")
HEALTH_CLIENT_GONE = LogEvent("health client went away or timed out", "debug", "client problem")

# Frames and commands
FRAME = LogEvent("frame", "info", "camera frame_id persons cached redelivered age_ms")
FRAME_REJECTED = LogEvent(
    "frame rejected", "info", "camera frame_id reason detail bytes", "see the reason in troubleshooting"
)
FRAME_REQUEUED = LogEvent("frame requeued", "warning", "camera frame_id problem", "see why the model process ended")
FRAME_UNANSWERED = LogEvent(
    "frame left unanswered", "error", "camera frame_id problem", "raise the broker's packet size limit"
)
TIME_IGNORED = LogEvent(
    "time of capture ignored", "warning", "camera problem", "correct the sender; ages count from reception until then"
)
OUTPUT_LEFT_OUT = LogEvent(
    "image left out: too large", "warning", "kind camera frame_id max_packet", "raise the broker's packet size limit"
)
PUBLICATION_GIVEN_UP = LogEvent(
    "publication given up",
    "warning",
    "link reason answers",
    "what the reason says; the frame is answered with an error",
)
NOT_PUBLISHED = LogEvent("not published", "warning", "topic problem", "raise the broker's packet size limit")
UNKNOWN_TOPIC = LogEvent(
    "message on an unknown topic", "warning", "link topic hint", "it was acknowledged; check who publishes there"
)
REQUEST_WITHOUT_REPLY = LogEvent(
    "request without a reply topic",
    "warning",
    "topic response_topic",
    "it was acknowledged, not parsed: its sender should name a Response Topic under `cameras[].reply_prefix` (MQTT 5)",
)
COMMAND = LogEvent("command", "info", "command status error")
RETAINED_COMMAND = LogEvent(
    "retained command ignored", "warning", "topic", "clear it: publish an empty retained message to the topic"
)

# Home Assistant
HOME_ASSISTANT_ANNOUNCED = LogEvent("home assistant: device announced", "info", "camera topic")
HOME_ASSISTANT_REMOVED = LogEvent("home assistant: device removed", "info", "camera topic")
HOME_ASSISTANT_UNREAD = LogEvent(
    "home assistant: nobody reads what is announced",
    "warning",
    "topic",
    "is Home Assistant on this broker, with this `prefix`? Nothing, if it starts later",
)
HOME_ASSISTANT_FULL = LogEvent(
    "home assistant: too many cameras, no more are announced",
    "warning",
    "camera cameras",
    "name those to be shown in `integrations.home_assistant.cameras`",
)
HOME_ASSISTANT_PART = LogEvent(
    "home assistant: the model has no such class",
    "warning",
    "part classes",
    "correct `integrations.home_assistant.parts`",
)
HOME_ASSISTANT_MEMORY = LogEvent(
    "home assistant: what was announced cannot be kept, or read",
    "warning",
    "file problem",
    "free space, permissions; delete leftover devices in Home Assistant",
)

# The gateway
GATEWAY_STARTED = LogEvent("gateway", "info", "address")
GATEWAY_LINK = LogEvent("gateway link", "warning", "link problem", "what the problem says, as for links of a worker")
GATEWAY_JOBS = LogEvent(
    "gateway jobs", "warning, error", "problem", "repair the state directory; the gateway runs without jobs"
)
GATEWAY_REQUEST = LogEvent("request", "info", "method status bytes ms")

# Links to the broker
LINK_CONNECTED = LogEvent("link: connected", "info", "link protocol session_present")
LINK_SESSION_LOST = LogEvent(
    "link: session lost", "warning", "link", "the frames in it are gone: broker persistence, session expiry"
)
LINK_SESSION_SHORTENED = LogEvent(
    "link: session shortened", "warning", "link asked_s granted_s", "raise the broker's session expiry limit"
)
LINK_CAPABILITY_MISSING = LogEvent(
    "link: capability missing", "warning", "link reason", "use another broker, or do without what the reason names"
)
LINK_CLIENT_ID_ASSIGNED = LogEvent(
    "link: client id assigned by the broker",
    "warning",
    "link client_id assigned",
    "reconnects find the session, a restart does not: set `mqtt.client_id`, or have the broker accept it",
)
LINK_SUBSCRIBED = LogEvent("link: subscribed", "info", "link")
LINK_SUBSCRIPTION_REFUSED = LogEvent(
    "link: subscription refused", "warning", "link filter reason", "grant the subscription in the broker's ACL"
)
LINK_UNREACHABLE = LogEvent("link: unreachable", "warning", "link reason", "what the reason says; it is retried")
LINK_REFUSED = LogEvent(
    "link: refused", "warning", "link reason permanent", "correct login or permissions; the password file is read again"
)
LINK_FELL_BACK = LogEvent(
    "link: fell back", "warning", "link reason", "set `mqtt.protocol: '3.1.1'` if the broker speaks nothing else"
)
LINK_DISCONNECTED = LogEvent("link: disconnected", "warning", "link reason", "what the reason says; it reconnects")
LINK_TAKEN_OVER = LogEvent(
    "link: taken over", "warning", "link client_id certain", "give each worker its own `node.id`"
)
LINK_SHED = LogEvent("link: shed", "warning", "link held reason", "what the reason says; nothing is lost")
LINK_PUBLICATION_REFUSED = LogEvent(
    "link: publication refused", "warning", "link publication topic reason", "grant the topic in the broker's ACL"
)
LINK_FATAL = LogEvent("link: fatal", "warning", "link detail", "report it")
LINK_THREAD_DIED = LogEvent("the link's thread died", "error", "link", "report it with the trace")
CERTIFICATE_NOT_VERIFIED = LogEvent(
    "the broker's certificate is NOT verified (mqtt.tls.verify: false)", "warning", "link", "set `mqtt.tls.ca_file`"
)
STATUS_CONTRADICTED = LogEvent(
    "the status topic holds something else; publishing ours again", "warning", "", "look for who else publishes there"
)
NODE_ID_TAKEN = LogEvent(
    "another worker has our node id", "warning", "detail standby", "give each worker its own `node.id`"
)
GROUP_MEMBERS = LogEvent("group members", "info", "group members")
SHARE_GROUPS_LEFT = LogEvent("share groups left", "info", "groups")
SHARE_GROUPS_NOT_LEFT = LogEvent(
    "share groups not left", "warning", "groups problem", "start the worker again: its part of the frames waits for it"
)

# Model processes
MODEL_PROCESS = LogEvent("model process", "info", "slot state detail")
MODEL_PROCESSES = LogEvent("model processes", "info", "count reason")
MODEL_LOADED = LogEvent(
    "model loaded",
    "info",
    "model engine precision choice kernels",
    "no `kernels`: install a C compiler and reinstall, for speed",
)
MODEL_PROCESS_CONFINED = LogEvent(
    "model process confined", "info, warning", "in_force refused", "use a newer kernel, if something was refused"
)
MODEL_PROCESS_FAILED = LogEvent(
    "model process failed", "error", "slot error restart_in_s", "see the error; out of memory: raise `MemoryMax=`"
)
MODEL_PROCESS_LEFT = LogEvent(
    "model process does not end, left behind", "error", "pid", "look for a hanging device or disk"
)
MODEL_FAILED = LogEvent("the model failed under a frame", "error", "trace", "keep the image and report it")
MODEL_SHAPE = LogEvent(
    "network made ready for another shape of frames; model.shapes stay in memory",
    "info",
    "seconds",
    "set `model.shapes` to the number of aspect ratios",
)
COMPILED_NETWORK_DAMAGED = LogEvent(
    "compiled network %s is not used (%s); compiling it anew", "warning", "", "watch the disk: something altered a file"
)
EXPORT_DAMAGED = LogEvent(
    "exported model %s is not used (%s); exporting it anew", "warning", "", "watch the disk: something altered a file"
)
ENGINE_PASSED_OVER = LogEvent(
    "engine %s is passed over: %s", "warning", "", "nothing, if another is chosen; `engines.json` in the cache says why"
)
ENGINE_TRIALS_DAMAGED = LogEvent(
    "trials of engines %s are damaged (%s); engines are tried anew", "warning", "", "watch the disk"
)
MEMORY_LIMIT_UNUSABLE = LogEvent(
    "memory.limit_mb is not in force: the model alone takes more",
    "warning",
    "slot limit_mb loaded_mb",
    "raise the limit",
)
QUARANTINE_IN_MEMORY = LogEvent("quarantine is kept in memory only", "warning", "file error", "free space, permissions")
QUARANTINE_DAMAGED = LogEvent(
    "quarantine file is damaged", "warning", "file problem kept", "watch the disk; `problem` names the file set aside"
)
JOURNAL_UNUSABLE = LogEvent(
    "frames in work are not written down: one that ends the worker is tried for ever",
    "warning",
    "problem",
    "free space, permissions of the state directory",
)

ALL: Final[Mapping[str, LogEvent]] = {name: event for name, event in globals().items() if isinstance(event, LogEvent)}
"""By the constant's name, in the order above."""


def table() -> str:
    """Return the list as a Markdown table."""
    rows = (
        f"| `{event}` | {event.levels} | {', '.join(f'`{field}`' for field in event.fields)} | {event.action} |"
        for event in ALL.values()
    )
    return "\n".join(("| event | level | fields | what to do |", "|---|---|---|---|", *rows))


if __name__ == "__main__":
    print(table())  # noqa: T201 - for docs/operations.md
