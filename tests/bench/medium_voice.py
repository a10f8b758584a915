"""A Piper voice with random weights that costs what a real one of medium quality costs."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SEED = 20
CHANNELS, FILTER, HEADS, LAYERS, WINDOW = 192, 768, 2, 6, 4
SYMBOLS = 256


class Network:
    """A graph that grows node by node; arrays are (1, channels, time) but where it says otherwise."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(SEED)
        self._nodes: list[onnx.NodeProto] = []
        self._tables: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; gives the name of its output, or the names of several."""
        names = [f"{kind}_{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def table(self, values: ArrayLike, kind: type = np.float32) -> str:
        """Add a constant; gives its name."""
        name = f"table_{len(self._tables)}"
        self._tables.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def whole(self, *numbers: int) -> str:
        """Add whole numbers, such as axes or a shape."""
        return self.table(numbers, np.int64)

    def weights(self, *shape: int, gain: float = 1.0) -> str:
        """Add random weights that keep the level of what flows through them, times `gain`."""
        fan_in = int(np.prod(shape[1:])) or 1
        return self.table(self._random.normal(0.0, gain / sqrt(fan_in), shape))
