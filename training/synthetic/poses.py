"""Poses: random ones of legs, spine, head and arms, by kind; recorded ones, as they are or mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.synthetic.geometry import about, direction, rotation, shortest_turn

if TYPE_CHECKING:
    from training.synthetic.body import Body
    from training.synthetic.geometry import Array
    from training.synthetic.skeleton import Absolute, Local

POSES = ("stand", "walk", "bend", "sit", "squat", "kneel", "lean")
RECORDED = (
    *("standing01", "standing02", "standing03", "standing04", "standing05", "standing06"),
    *("sit01", "run01", "gym01"),
)
# Recordings whose trunks and limbs `Poser.mixed` combines. No others: training keeps poses aside
# (`training.rendered.KEPT_POSES`).
_TRUNKS = ("standing01", "standing03", "standing04", "standing06", "fight01", "fight02", "fight03", "fight04")
_LIMBS = (*_TRUNKS, "fly01", "fly02")
_LEG = ("upperleg", "lowerleg", "foot", "toe")
_ARM = ("clavicle", "shoulder", "upperarm", "lowerarm", "wrist", "metacarpal", "finger")
_TURNED = ("spine", "neck", "upperleg", "lowerleg", "foot", "clavicle", "upperarm", "lowerarm", "wrist")
_TURN = 6.0  # degrees, standard deviation
_LOW = ("bend", "squat", "kneel")
_ARMS = (
    *["hang"] * 7,
    *["fore"] * 4,
    *["any"] * 6,
    *("hip", "phone", "reach", "reach", "up", "cross", "cross", "behind", "carry", "carry", "type", "type", "wave"),
)
_DONE_WITH_BOTH = ("hang", "fore", "cross", "carry", "type", "behind", "reach")
_SPINE = ("spine04", "spine03", "spine02", "spine01")
SIDES = ((".L", 1), (".R", -1))
_STRIDE, _KNEE = 24.0, 45.0  # degrees: swing of a thigh forward and back, and flexion of the knee
Range = tuple[float, float]


class ArmRanges(NamedTuple):
    """Ranges, in degrees, of the random azimuth and elevation of the upper arm and the forearm.

    An elevation is its base plus the random value.
    """

    upper_azimuth: Range
    upper_base: float
    upper: Range
    lower_azimuth: Range
    lower_base: float
    lower: Range


class Pose(NamedTuple):
    """Rotations of the bones; whether both arms hold something in front of the body."""

    local: Local
    absolute: Absolute
    holds: bool


class Poser:
    """Creates one random pose for one body."""

    def __init__(self, rng: np.random.Generator, body: Body, joints: Array, phase: float | None = None) -> None:
        """*joints* (B, 3): the shaped body's in the rest pose; *phase* (radians): of a walk; None: random."""
        self._rng, self._body, self._joints, self._phase = rng, body, joints, phase
        self._local: Local = {}
        self._absolute: Absolute = {}
        self._step = 0.0  # degrees between the legs in a walk

    def draw(self, kind: str) -> Pose:
        """Return a pose of this *kind*, one of POSES."""
        same = self._rng.random() < 0.55
        getattr(self, f"_{kind}")()
        self._head(self._u(-15, 35), self._u(-55, 55))
        first = self._arms(kind, same=same)
        if kind in (*_LOW, "lean"):
            self._free_arms()
        return Pose(self._local, self._absolute, same and first in ("carry", "type", "fore"))

    def mixed(self, recorded: dict[str, Local]) -> Pose:
        """Return a trunk and limbs of several *recorded* poses, by name; joints are turned a little.

        Some arms are posed as in :meth:`draw` instead.
        """
        trunk = recorded[str(self._rng.choice(_TRUNKS))]
        self._local = {bone: turn for bone, turn in trunk.items() if not bone.startswith((*_LEG, *_ARM))}
        legs, arms = (str(self._rng.choice(_LIMBS)) for _ in range(2))
        for side, _ in SIDES:
            another_leg, another_arm = self._rng.random(2) < 0.3
            for limb, name, another in ((_LEG, legs, another_leg), (_ARM, arms, another_arm)):
                pose = recorded[str(self._rng.choice(_LIMBS)) if another else name]
                self._local |= {one: turn for one, turn in pose.items() if one.startswith(limb) and one.endswith(side)}
            if self._rng.random() < 0.3:
                action = str(self._rng.choice(_ARMS))
                self._arm_between(side, _ARM_RANGES[action])
        for bone, turn in self._local.items():
            if bone.startswith(_TURNED):
                axis = self._rng.normal(size=3)
                self._local[bone] = turn @ about(axis / np.linalg.norm(axis), float(self._rng.normal(0, _TURN)))
        return Pose(self._local, self._absolute, holds=False)

    def _u(self, start: float, end: float) -> float:
        return float(start + (end - start) * self._rng.random())

    def _between(self, start: str, end: str) -> Array:
        bone = self._body.bone
        return np.asarray(self._joints[bone[end]] - self._joints[bone[start]])

    # Legs and spine of each pose

    def _walk(self) -> None:
        phase, runs = self._u(-1, 1), self._phase is None and self._rng.random() < 0.2
        step = self._u(12, 55 if runs else 32) * np.sign(phase) if abs(phase) > 0.2 else self._u(-8, 8)
        for side, sign in SIDES:
            angle = sign * step
            azimuth = self._u(3, 8) if angle >= 0 else 180 - self._u(3, 8)
            bent = abs(angle) + self._u(5, 80 if runs else 25) if angle < 0 else self._u(0, abs(angle))
            knee = (180 - 5 if angle < 0 else 5, -90 + bent)
            self._leg(side, (azimuth, -90 + abs(angle)), knee, foot=max(20, bent - 20) if angle < 0 else -8)
        self._spine(self._u(0, 8), self._u(-12, 12), self._u(-3, 3))
        self._step = step
        if self._phase is not None:
            self._stride(self._phase)

    def _stride(self, phase: float) -> None:
        """Set the legs of a steady walk: thighs swing like a pendulum, a knee bends while its foot is in the air."""
        self._step = _STRIDE * np.sin(phase)
        for side, sign in SIDES:
            thigh = sign * self._step
            shin = thigh - 4 - _KNEE * max(0.0, sign * float(np.cos(phase)))
            foot = 0.5 * max(0.0, -shin) - 0.4 * max(0.0, thigh)
            self._leg(side, _swung(thigh), _swung(shin), foot=foot)

    def _stand(self, aside: float = 7) -> None:
        if self._rng.random() < 0.15:
            self._cross_legs()
        else:
            wide = self._rng.random() < 0.2
            for side, _ in SIDES:
                apart = self._u(2, 30 if wide else 10)
                shin = (self._u(60, 170), -90 + self._u(0, 25 if wide else 6))
                self._leg(side, (self._u(30, 90), -90 + apart), shin)
        self._spine(self._u(-4, 10), self._u(-15, 15), self._u(-aside, aside))

    def _cross_legs(self) -> None:
        """Put one foot before the other one, on the other side of it."""
        (front, _), (behind, _) = SIDES[:: self._rng.choice([1, -1])]
        for side, azimuth in ((front, self._u(30, 60)), (behind, self._u(90, 130))):
            shin = (-self._u(50, 130), -90 + self._u(8, 20))
            self._leg(side, (-azimuth, -90 + self._u(10, 18)), shin)

    def _lean(self) -> None:
        self._stand(aside=18)

    def _bend(self) -> None:
        for side, _ in SIDES:
            apart = self._u(3, 25)
            self._leg(side, (self._u(10, 60), -90 + apart), (self._u(150, 180), -90 + self._u(0, 25)))
        self._spine(self._u(25, 95), self._u(-25, 25), self._u(-10, 10), root=0.5)

    def _sit(self) -> None:
        for side, _ in SIDES:
            thigh = (self._u(0, 25), self._u(-15, 6))
            azimuth = self._u(0, 40) if self._rng.random() < 0.5 else 180 - self._u(0, 20)
            self._leg(side, thigh, (azimuth, -90 + self._u(0, 25)))
        if self._rng.random() < 0.25:  # one thigh over the other, or an ankle on it
            (over, _), (under, _) = SIDES[:: self._rng.choice([1, -1])]
            self._leg(under, (self._u(0, 8), self._u(-12, 0)), (self._u(0, 20), -90 + self._u(0, 15)))
            if self._rng.random() < 0.7:
                self._leg(over, (-self._u(12, 22), self._u(12, 24)), (-self._u(0, 40), self._u(-80, -50)), foot=None)
            else:
                self._leg(over, (self._u(30, 45), self._u(5, 15)), (-self._u(75, 95), self._u(-12, 4)), foot=None)
        self._spine(self._u(-15, 30), self._u(-20, 20), self._u(-8, 8), root=0.4)

    def _squat(self) -> None:
        for side, _ in SIDES:
            thigh = (self._u(5, 35), self._u(-15, 25))
            self._leg(side, thigh, (180 - self._u(0, 20), self._u(-70, -50)), foot=self._u(0, 35))
        self._spine(self._u(20, 55), self._u(-20, 20), self._u(-8, 8), root=0.4)

    def _kneel(self) -> None:
        (front, _), (behind, _) = SIDES[:: self._rng.choice([1, -1])]
        self._leg(front, (self._u(0, 25), self._u(-30, 5)), (self._u(0, 10), -90))
        self._leg(behind, (self._u(0, 20), -90 + self._u(0, 30)), (180, self._u(-35, 0)), foot=60)
        self._spine(self._u(0, 35), self._u(-20, 20), 0)

    def _leg(self, side: str, thigh: Range, shin: Range, foot: float | None = 0) -> None:
        """Set the directions (azimuth outwards, elevation) of thigh and shin, and the pitch of the foot.

        None: the foot follows the shin.
        """
        sign = 1 if side == ".L" else -1
        bone = self._between(f"upperleg01{side}", f"lowerleg01{side}")
        upper = shortest_turn(bone, direction(sign * thigh[0], thigh[1]))
        bone = upper @ self._between(f"lowerleg01{side}", f"foot{side}")
        lower = shortest_turn(bone, direction(sign * shin[0], shin[1])) @ upper
        self._absolute[f"upperleg01{side}"] = (None, upper)
        self._absolute[f"lowerleg01{side}"] = (None, lower)
        turn = lower if foot is None else rotation("x", foot) @ rotation("y", sign * 8)
        self._absolute[f"foot{side}"] = (None, turn)

    def _spine(self, pitch: float, yaw: float, roll: float, root: float = 0.3) -> None:
        """Set the trunk; *root* is the share of the pitch in the hips."""
        hips = rotation("x", pitch * root) @ rotation("y", yaw * 0.2) @ rotation("z", roll * 0.2)
        self._local["root"] = hips
        share = (1 - root) / 4
        for bone in _SPINE:
            self._local[bone] = rotation("x", pitch * share) @ rotation("y", yaw * 0.2) @ rotation("z", roll * 0.2)

    def _head(self, pitch: float, yaw: float) -> None:
        for bone in ("neck01", "neck02", "head"):
            self._local[bone] = rotation("x", pitch / 3) @ rotation("y", yaw / 3)

    # Arms

    def _arms(self, kind: str, *, same: bool) -> str:
        """Pose both arms; returns the first arm's random action, which the pose may have overridden."""
        first: str | None = None
        for side, sign in SIDES:
            action = str(self._rng.choice(_ARMS))
            if same and first in _DONE_WITH_BOTH:
                action = first
            first = first or action
            action = self._decided(kind, action)
            if action == "swing":
                self._swing(side, sign)
            else:
                self._arm_between(side, _ARM_RANGES[action])
        return str(first)

    def _decided(self, kind: str, action: str) -> str:
        rng = self._rng
        if kind == "walk" and rng.random() < 0.75:
            return "swing"
        if kind == "sit" and rng.random() < 0.6:
            return "lap" if rng.random() < 0.5 else "type"
        if kind in _LOW and rng.random() < 0.6:
            return "reach" if rng.random() < 0.6 else "down"
        return action

    def _swing(self, side: str, sign: int) -> None:
        """Swing the arm against the leg of the same side."""
        angle = -sign * self._step * self._u(0.5, 1.1)
        bent = max(8, angle + 20 if angle > 0 else abs(angle) * 0.6)
        lower = (10.0 if angle > -10 else 150.0, -90 + bent)
        self._arm(side, (25 if angle > 0 else 155, -90 + abs(angle) + 6), lower)

    def _arm_between(self, side: str, ranges: ArmRanges) -> None:
        upper_azimuth, upper = self._u(*ranges.upper_azimuth), ranges.upper_base + self._u(*ranges.upper)
        lower_azimuth, lower = self._u(*ranges.lower_azimuth), ranges.lower_base + self._u(*ranges.lower)
        self._arm(side, (upper_azimuth, upper), (lower_azimuth, lower))

    def _arm(self, side: str, upper: Range, lower: Range) -> None:
        """Set upper arm and forearm relative to the chest; the clavicle rises with the arm, the fingers curl."""
        sign = 1 if side == ".L" else -1
        bone = self._between(f"upperarm01{side}", f"lowerarm01{side}")
        first = shortest_turn(bone, direction(sign * upper[0], upper[1]))
        bone = first @ self._between(f"lowerarm01{side}", f"wrist{side}")
        second = shortest_turn(bone, direction(sign * lower[0], lower[1])) @ first
        self._absolute[f"upperarm01{side}"] = ("spine01", first)
        self._absolute[f"lowerarm01{side}"] = ("spine01", second)
        if upper[1] > -10:
            self._local[f"clavicle{side}"] = rotation("z", sign * min(25, (upper[1] + 10) * 0.3))
        knuckles = self._between(f"finger5-1{side}", f"finger2-1{side}")
        curl = about(knuckles / np.linalg.norm(knuckles), sign * self._u(0, 35))
        for finger in range(2, 6):
            for joint in range(1, 4):
                self._local[f"finger{finger}-{joint}{side}"] = curl

    def _free_arms(self) -> None:
        """Half the time, let the arms hang vertically instead of following the bent trunk."""
        for side, _ in SIDES:
            if self._rng.random() < 0.5:
                for bone in ("upperarm01", "lowerarm01"):
                    self._absolute[f"{bone}{side}"] = (None, self._absolute[f"{bone}{side}"][1])


def _swung(degrees: float) -> Range:
    """Return the direction of a hanging bone swung forward (negative: back)."""
    return (4.0 if degrees >= 0 else 176.0, -90 + abs(degrees))


_ARM_RANGES = {
    "any": ArmRanges((-20, 150), 0, (-85, 60), (-80, 80), 0, (-80, 80)),
    "hang": ArmRanges((60, 110), -90, (4, 18), (-10, 70), -90, (5, 35)),
    "fore": ArmRanges((40, 100), -90, (5, 25), (-35, 20), 0, (-35, 25)),
    "hip": ArmRanges((85, 120), -90, (35, 50), (-75, -45), 0, (-35, -60)),
    "phone": ArmRanges((30, 70), 0, (-40, -70), (-80, -30), 0, (45, 70)),
    "reach": ArmRanges((-5, 50), 0, (-50, 20), (-10, 30), 0, (-45, 25)),
    "up": ArmRanges((10, 90), 0, (10, 65), (-10, 60), 0, (40, 85)),
    "wave": ArmRanges((60, 90), 0, (-20, 30), (-20, 80), 0, (60, 85)),
    "cross": ArmRanges((35, 55), 0, (-55, -70), (-75, -55), 0, (-12, 12)),
    "behind": ArmRanges((120, 160), 0, (-60, -75), (-150, -110), 0, (-40, -70)),
    "carry": ArmRanges((10, 45), 0, (-55, -80), (-25, 10), 0, (-15, 15)),
    "type": ArmRanges((10, 45), 0, (-55, -80), (-25, 10), 0, (-15, 15)),
    "lap": ArmRanges((10, 50), 0, (-55, -75), (-40, 0), 0, (-20, -50)),
    "down": ArmRanges((0, 60), -90, (0, 10), (0, 40), -90, (0, 15)),
}
