"""Renders meshes with OpenGL on EGL, in software without a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import moderngl
import numpy as np

from training.synthetic import shaders
from training.synthetic.patterns import build_patterns
from training.synthetic.projections import FAR, NEAR, look, orthographic, perspective

if TYPE_CHECKING:
    from training.synthetic.assets import Image, Pack
    from training.synthetic.geometry import Array
    from training.synthetic.person import Mesh

WIDTH, HEIGHT = 512, 288
SUPERSAMPLING = 2
_SHADOW_SIZE = 1024
_CONTEXT: dict[str, Any] = {"standalone": True, "backend": "egl"}
_VERTEX_LAYOUT = "3f 3f 2f 1f 4f"
_SHADOW_LAYOUT = "3f 12x 2f 20x"


class NoContextError(Exception):
    """EGL provides no OpenGL context."""


@dataclass(frozen=True)
class Camera:
    """Position, direction, up vector, and horizontal field of view in degrees."""

    eye: Array
    forward: Array
    up: Any
    fov: float


@dataclass(frozen=True)
class Light:
    """A sun with a shadow, sky and ground, and two lamps. Colours are linear RGB (3,).

    Attributes:
        direction: towards the sun; its shadow map covers `radius` metres around `middle`.
        lamps: position and colour of each.
    """

    direction: Array
    middle: Array
    sun: Array
    sky: Array
    ground: Array
    lamps: tuple[tuple[Any, Array], tuple[Any, Array]]
    exposure: float
    radius: float = 9.0
    bias: float = 0.002
    background: tuple[float, float, float] = (0.5, 0.55, 0.6)


@dataclass(frozen=True)
class Drawn:
    """Colours, class and person (R and G), and depth in metres, at twice the image size; view-projection matrix."""

    colours: Image
    labels: Image
    depth: Array
    projection: Array


def _bytes(matrix: Array) -> bytes:
    return np.ascontiguousarray(matrix.T.astype("f4")).tobytes()


def _floats(values: Any) -> tuple[float, ...]:  # noqa: ANN401  any numbers
    return tuple(float(value) for value in values)


class Renderer:
    """One OpenGL context with the pack's textures, loaded on first use."""

    def __init__(self, pack: Pack, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
        """Compile the shaders and create the patterns; images of *size* (width, height) are rendered at twice the size.

        Raises:
            NoContextError: EGL provides no context.
        """
        self._pack = pack
        try:
            self._context: Any = moderngl.create_context(**_CONTEXT)
        except Exception as error:  # drivers raise various errors
            raise NoContextError(f"no OpenGL context from EGL ({error})") from error
        self.size = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
        self._make_targets()
        self._program: Any = self._context.program(shaders.VERTEX, shaders.FRAGMENT)
        self._shadows: Any = self._context.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        self.layers = self._make_patterns()
        self._textures: dict[str | None, Any] = {None: self._context.texture((1, 1), 4, b"\xff" * 4)}

    @property
    def name(self) -> str:
        """Name of the driver."""
        return str(self._context.info["GL_RENDERER"])

    def _make_targets(self) -> None:
        context = self._context
        self._colours, self._labels = (context.texture(self.size, 4) for _ in range(2))
        self._depth = context.depth_texture(self.size)
        self._frame = context.framebuffer([self._colours, self._labels], self._depth)
        self._label_frame = context.framebuffer([self._labels])
        self._shadow_depth = context.depth_texture((_SHADOW_SIZE,) * 2)
        self._shadow_depth.compare_func = "<="
        self._shadow_frame = context.framebuffer([], self._shadow_depth)

    def _make_patterns(self) -> dict[str, list[int]]:
        patterns = build_patterns(self._pack)
        stack = np.stack(patterns.layers)
        size = stack.shape[1:3]
        self._patterns = self._context.texture_array((*size, len(stack)), 3, np.ascontiguousarray(stack).tobytes())
        self._wrinkles = self._context.texture(size, 3, patterns.wrinkles.tobytes())
        self._patterns.build_mipmaps()
        self._patterns.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        self._wrinkles.build_mipmaps()
        numbers: dict[str, list[int]] = {}
        for number, name in enumerate(patterns.names):
            numbers.setdefault(name, []).append(number)
        return numbers

    def _texture(self, name: str | None) -> Any:  # noqa: ANN401  moderngl's
        if name not in self._textures:
            image = self._pack.image(str(name) if str(name).startswith("hdri_") else f"tex_{name}")
            with_alpha = image if image.shape[2] == 4 else cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
            rgba = np.ascontiguousarray(cv2.cvtColor(with_alpha, cv2.COLOR_BGRA2RGBA)[::-1])
            texture = self._context.texture(rgba.shape[1::-1], 4, rgba.tobytes())
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            self._textures[name] = texture
        return self._textures[name]

    def draw(self, meshes: list[Mesh], camera: Camera, light: Light) -> Drawn:
        """Render the meshes from the camera."""
        context = self._context
        view = perspective(camera.fov, self.size[0] / self.size[1]) @ look(camera.eye, camera.forward, camera.up)
        buffers = [context.buffer(np.ascontiguousarray(mesh.vertices).tobytes()) for mesh in meshes]
        context.enable(moderngl.DEPTH_TEST)
        context.disable(moderngl.BLEND)
        context.disable(moderngl.CULL_FACE)
        sun = self._draw_shadows(meshes, buffers, light)
        self._begin(camera, light, view, sun)
        for mesh, buffer in zip(meshes, buffers, strict=True):
            self._draw_mesh(mesh, buffer)
        drawn = self._read(view)
        for buffer in buffers:
            buffer.release()
        return drawn

    def _draw_shadows(self, meshes: list[Mesh], buffers: list[Any], light: Light) -> Array:
        direction = light.direction / np.linalg.norm(light.direction)
        up = (0, 1, 0) if abs(direction[1]) < 0.98 else (0, 0, 1)
        sun = orthographic(light.radius, 1, 50) @ look(light.middle + direction * 25, -direction, up)
        self._shadow_frame.use()
        self._shadow_frame.clear(depth=1.0)
        self._shadows["VP"].write(_bytes(sun))
        self._shadows["tx"] = 0
        for mesh, buffer in zip(meshes, buffers, strict=True):
            if not mesh.casts_shadow:
                continue
            self._shadows["mode"], self._shadows["alphac"] = mesh.material.mode, mesh.material.alpha
            self._texture(mesh.material.texture).use(0)
            self._render(self._shadows, (buffer, _SHADOW_LAYOUT, "pos", "uv"))
        return sun

    def _render(self, program: Any, content: tuple[Any, ...]) -> None:  # noqa: ANN401  moderngl's
        triangles = self._context.vertex_array(program, [content])
        triangles.render()
        triangles.release()

    def _begin(self, camera: Camera, light: Light, view: Array, sun: Array) -> None:
        program = self._program
        self._frame.use()
        self._frame.clear(*light.background, 1, depth=1.0)
        self._label_frame.clear(0, 0, 0, 0)
        self._frame.use()
        program["VP"].write(_bytes(view))
        program["LVP"].write(_bytes(sun))
        for place, (name, texture) in enumerate(
            (("pat", self._patterns), ("wr", self._wrinkles), ("sh", self._shadow_depth)), start=1
        ):
            texture.use(place)
            program[name] = place
        program["tx"] = 0
        program["eye"] = _floats(camera.eye)
        program["ldir"] = _floats(light.direction / np.linalg.norm(light.direction))
        colours = {"lcol": light.sun, "sky": light.sky, "gnd": light.ground}
        for number, (position, colour) in enumerate(light.lamps, start=1):
            colours |= {f"p{number}": position, f"c{number}": colour}
        for name, colour in colours.items():
            program[name] = _floats(colour)
        program["expo"], program["shbias"] = light.exposure, light.bias

    def _draw_mesh(self, mesh: Mesh, buffer: Any) -> None:  # noqa: ANN401  moderngl's
        material, program = mesh.material, self._program
        program["mode"], program["tint"] = material.mode, _floats(material.tint)
        values = {
            "layer": material.layer,
            "scale": material.scale,
            "alphac": material.alpha,
            "inst": mesh.person,
            "wrk": material.wrinkles,
            "spec": material.shine,
            "emis": 0,
        }
        for name, value in values.items():
            program[name] = float(value)
        self._texture(material.texture).use(0)
        self._render(program, (buffer, _VERTEX_LAYOUT, "pos", "nrm", "uv", "lab", "tl"))

    def _read(self, view: Array) -> Drawn:
        width, height = self.size
        colours, labels = (
            np.frombuffer(texture.read(), np.uint8).reshape(height, width, 4)[::-1]
            for texture in (self._colours, self._labels)
        )
        depth = np.frombuffer(self._depth.read(), np.float32).reshape(height, width)[::-1]
        metres = 2 * NEAR * FAR / (FAR + NEAR - (2 * depth - 1) * (FAR - NEAR))
        return Drawn(colours[:, :, :3], labels, metres, view)
