"""Builds ONNX graphs of the layers that VITS is made of, with random weights."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Name = str
"""Of a tensor: float32, (1, channels, time), where nothing else is said."""


class Network:
    """A graph that grows node by node; equal seeds give equal weights."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.part = ""
        """Begins the names of the nodes to come, by which onnxruntime's profile tells them apart."""
        self.nodes: list[NodeProto] = []
        self.tables: list[TensorProto] = []

    def add(self, kind: str, *inputs: Name, **attributes: Any) -> Name:
        """Add a node; gives the name of its output."""
        output = f"/{self.part}/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def sum(self, *terms: Name) -> Name:
        """Add up tensors."""
        first, *others = terms
        for term in others:
            first = self.add("Add", first, term)
        return first

    def table(self, values: ArrayLike) -> Name:
        """Add a constant of floats."""
        return self._table(np.asarray(values, np.float32))

    def whole(self, *numbers: int) -> Name:
        """Add a constant of whole numbers: int64, (n,)."""
        return self._table(np.asarray(numbers, np.int64))

    def weights(self, *shape: int, gain: float = 1.0) -> Name:
        """Add random weights that keep the level of what they are applied to, but for a gain."""
        return self.table(self._random.normal(0.0, gain / sqrt(np.prod(shape[1:])), shape))

    def convolve(
        self, x: Name, channels: tuple[int, int], kernel: int = 1, *,
        dilation: int = 1, groups: int = 1, gain: float = 1.0,
    ) -> Name:  # fmt: skip
        """Add a convolution over time, from so many channels to so many, that keeps the length."""
        inputs, outputs = channels
        weights = self.weights(outputs, inputs // groups, kernel, gain=gain)
        around = dilation * (kernel - 1) // 2
        return self.add(
            "Conv", x, weights, self.table(np.zeros(outputs)),
            dilations=[dilation], group=groups, pads=[around, around],
        )  # fmt: skip

    def upsample(self, x: Name, channels: tuple[int, int], kernel: int, times: int) -> Name:
        """Add a transposed convolution that makes it so many times as long."""
        inputs, outputs = channels
        weights = self.weights(inputs, outputs, kernel, gain=sqrt(outputs * times / inputs))
        around = (kernel - times) // 2
        return self.add(
            "ConvTranspose", x, weights, self.table(np.zeros(outputs)),
            strides=[times], pads=[around, around],
        )  # fmt: skip

    def normalize(self, x: Name, channels: int) -> Name:
        """Add a normalisation over the channels."""
        x = self.add("Transpose", x, perm=[0, 2, 1])
        ones, zeros = self.table(np.ones(channels)), self.table(np.zeros(channels))
        x = self.add("LayerNormalization", x, ones, zeros, axis=-1)
        return self.add("Transpose", x, perm=[0, 2, 1])

    def length(self, x: Name, axis: int) -> Name:
        """Give how long a tensor is along an axis: int64, (1,)."""
        return self.add("Gather", self.add("Shape", x), self.whole(axis))

    def cut(self, x: Name, begin: Name, end: Name, axis: int) -> Name:
        """Cut a tensor along an axis."""
        return self.add("Slice", x, begin, end, self.whole(axis))

    def halves(self, x: Name, channels: int) -> tuple[Name, Name]:
        """Cut a tensor of so many channels into two."""
        middle, end = self.whole(channels // 2), self.whole(channels)
        return self.cut(x, self.whole(0), middle, 1), self.cut(x, middle, end, 1)

    def _table(self, values: np.ndarray) -> Name:
        name = f"table_{len(self.tables)}"
        self.tables.append(numpy_helper.from_array(values, name))
        return name
