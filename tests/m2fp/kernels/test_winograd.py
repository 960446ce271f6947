"""The compiled kernel for convolutions by 3x3, against double precision and against OpenVINO's own operators."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import openvino
import pytest
from convolutions import ROUNDING, SHAPES, convolved, drawn
from openvino import opset13 as ops

from edge_worker.m2fp.engines import gemm_fusion
from edge_worker.m2fp.kernels import winograd
from edge_worker.m2fp.kernels.convolution import Layer
from edge_worker.m2fp.kernels.workers import Workers
from edge_worker.m2fp.parser import load_parser

if TYPE_CHECKING:
    from checkpoints import Golden
    from numpy.typing import NDArray

    from edge_worker.m2fp.directory import ModelDirectory
    from edge_worker.m2fp.types import FloatArray

usable = pytest.mark.skipif(not winograd.is_usable(), reason="the kernel was not built, or the processor has no AVX2")

TILE, WINDOW = 4, 3
CELLS = TILE + WINDOW - 1
POINTS = np.array([0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)])
"""Where the kernel evaluates polynomials, besides at infinity."""


def transforms() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The matrices of output (4, 6), weights (6, 3) and input (6, 6), by Toom and Cook from the points."""
    others = [np.delete(POINTS, index) for index in range(len(POINTS))]
    norms = np.array([np.prod(point - rest) for point, rest in zip(POINTS, others, strict=True)])
    infinity = np.eye(CELLS)[-1]
    output = POINTS[None] ** np.arange(TILE)[:, None]
    weights = np.vstack([POINTS[:, None] ** np.arange(WINDOW) / norms[:, None], np.eye(WINDOW)[-1]])
    source = np.zeros((CELLS, CELLS))
    for row, rest in enumerate(others):
        source[row, : CELLS - 1] = np.poly(rest)[::-1]
    source[-1] = np.poly(POINTS)[::-1]
    return np.hstack([output, infinity[-TILE:, None]]), weights, source


def tiles_of(source: FloatArray) -> NDArray[np.float64]:
    """The input cells of each tile, (rows, columns, 6, 6, channels), zeros outside."""
    height, width, channels = source.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    padded = np.zeros((rows * TILE + 2, columns * TILE + 2, channels))
    padded[1 : height + 1, 1 : width + 1] = source
    windows = np.lib.stride_tricks.sliding_window_view(padded, (CELLS, CELLS), (0, 1))[::TILE, ::TILE]
    return np.moveaxis(windows, 2, -1)


def by_tiles(source: FloatArray, weights: FloatArray, *, of_terms: bool = False) -> NDArray[np.float64]:
    """The convolution as the kernel computes it, in double precision; or the sum of its terms without their signs."""
    output, filters, inputs = (np.abs(one) if of_terms else one for one in transforms())
    cells, window = tiles_of(source), weights.astype(np.float64)
    if of_terms:
        cells, window = np.abs(cells), np.abs(window)
    moved = np.einsum("iy,jx,rcyxk->ijrck", inputs, inputs, cells, optimize=True)
    turned = np.einsum("iy,jx,fyxk->ijfk", filters, filters, window, optimize=True)
    products = np.einsum("ijrck,ijfk->ijrcf", moved, turned, optimize=True)
    maps = np.einsum("yi,xj,ijrcf->rycxf", output, output, products, optimize=True)
    rows, _, columns, _, count = maps.shape
    whole: NDArray[np.float64] = maps.reshape(rows * TILE, columns * TILE, count)
    return whole[: source.shape[0], : source.shape[1]]


def test_the_points_give_the_convolution() -> None:
    """The transforms derived here are those of a convolution: the bound below is one of the right sums."""
    source, weights = drawn(9, 6, 4), drawn(3, 3, 3, 4, seed=1)
    np.testing.assert_allclose(by_tiles(source, weights), convolved(source, weights), rtol=1e-9, atol=1e-6)


@usable
@pytest.mark.parametrize("floats", [8, 16])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("size", "filters"), SHAPES)
def test_kernel_computes_convolutions(
    size: tuple[int, int, int], filters: int, threads: int, floats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any size, by vectors of both widths, with bias, addend and rectifier, and as exact as its terms allow."""
    if floats > winograd.width():
        pytest.skip("the processor has no AVX-512")
    monkeypatch.setattr(winograd, "width", lambda: floats)
    source, weights = drawn(*size), drawn(filters, 3, 3, size[2], seed=1)
    bias, added = drawn(filters, seed=2), drawn(*size[:2], filters, seed=3)
    out = np.full(added.shape, np.nan, np.float32)
    layer = Layer(winograd.packed(weights), bias, 3, 1, rectified=True)
    winograd.convolve(source, layer, added, out, Workers(threads))
    roundings = size[2] + 30  # of the sum over channels; of the transforms, of their constants, and at the end
    terms = by_tiles(source, weights, of_terms=True) + np.abs(bias) + np.abs(added)
    expected = np.maximum(convolved(source, weights) + bias + added, 0)
    assert (np.abs(out - expected) <= roundings * ROUNDING * terms).all()


@usable
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize(("limit", "floats"), [("AVX2_VNNI", 8), ("avx", 0)])
def test_it_keeps_to_what_openvino_is_held_to(
    monkeypatch: pytest.MonkeyPatch, variable: str, limit: str, floats: int
) -> None:
    """Else a measurement of AVX2 on a box with AVX-512 would be one of neither."""
    monkeypatch.setenv(variable, limit)
    assert winograd.width() == floats


@usable
def test_usual_maps_lose_next_to_nothing() -> None:
    """Of numbers of one size, as behind a normalisation, the largest error is some millionths of a usual result."""
    random = np.random.default_rng(0)
    source = random.standard_normal((40, 72, 96), np.float32)
    weights = random.standard_normal((96, 3, 3, 96), np.float32)
    out = np.empty_like(source)
    layer = Layer(winograd.packed(weights), np.zeros(96, np.float32), 3, 1, rectified=False)
    winograd.convolve(source, layer, None, out, Workers(2))
    expected = convolved(source, weights)
    assert np.abs(out - expected).max() <= 1e-5 * expected.std()


@pytest.mark.openvino
@usable
def test_only_what_gains_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions by 3x3 of stride 1 on maps that are not small; all others stay OpenVINO's."""
    monkeypatch.setattr(gemm_fusion, "LEAST", 0)
    image = ops.parameter([1, 32, 32, 36], np.float32)
    wide = ops.convolution(image, drawn(32, 32, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    deep = ops.convolution(ops.relu(wide), drawn(32, 32, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    half = ops.convolution(deep, drawn(32, 32, 3, 3, seed=1), [2, 2], [1, 1], [1, 1], [1, 1])
    small = ops.convolution(half, drawn(32, 32, 3, 3, seed=2), [1, 1], [1, 1], [1, 1], [1, 1])
    network = openvino.Model([small], [image], "network")
    core, source = openvino.Core(), drawn(1, 32, 32, 36)

    def answer() -> FloatArray:
        return np.array(core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(source)[0])

    expected = answer()
    operation = gemm_fusion.product_operation(winograd, Workers(2))
    core.add_extension(operation)
    assert gemm_fusion.Replacement(winograd, operation).replace(network) == 1
    kinds = [node.get_type_name() for node in network.get_ordered_ops()]
    assert (kinds.count("Convolution"), kinds.count("Relu"), kinds.count("Product")) == (3, 0, 1)
    np.testing.assert_allclose(answer(), expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


@pytest.mark.openvino
@usable
def test_the_published_answer_with_it_everywhere(
    golden: Golden, exported_golden: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every convolution that it can compute is its own, f32 stays within what it is held to."""
    monkeypatch.setattr(gemm_fusion, "LEAST", 0)
    monkeypatch.setattr(winograd, "_FEWEST_TILES", 0)
    computed = Mock(wraps=winograd.convolve)
    monkeypatch.setattr(winograd, "convolve", computed)
    parser = load_parser(exported_golden.path, "openvino", "f32", threads=2)
    logits = parser.infer(parser.preprocess(golden.frame))
    parser.close()
    assert computed.call_count == 8
    np.testing.assert_allclose(logits.class_logits, golden.expected["pred_logits"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(logits.mask_logits, golden.expected["pred_masks"], atol=5e-3, rtol=0)
