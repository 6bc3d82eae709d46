"""Networks as graphs of modules, with any number of inputs and outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, ShapeError
from .core import Bijection, Shape, run, run_back

Node = dict[str, Any]


class GraphNetwork(Bijection):
    """Nodes that split states, join them or move them, and see conditions, features and states.

    It maps one tensor to one: the only input, or vectors [N, Σ sizes] that hold all of them one
    behind the other. So do outputs, and conditions, which are the context. Modules are parts by the
    names of their nodes.
    """

    _transparent = ()

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__()
        self.nodes = [{k: v for k, v in node.items() if k != "module"} for node in nodes]
        self._modules.update({node["name"]: node["module"] for node in nodes if "module" in node})
        self.shapes = self._shapes_of_states()

    @property
    def uses_context(self) -> bool:  # type: ignore[override]
        """Are there conditions from outside?"""
        return bool(self._ends("condition"))

    def output_shape(self, x: Shape) -> Shape:
        return self._packed_shape("output", x[0])

    def input_shape(self, y: Shape) -> Shape:
        return self._packed_shape("input", y[0])

    def _map(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Any]:
        values = self._unpacked("input", x) | self._conditions(context)
        logdet = self._walk(values, self._forwards)
        return self._packed("output", values), logdet

    def _map_back(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Any]:
        values = self._unpacked("output", y) | self._conditions(context)
        logdet = self._walk(values, self._backwards)
        return self._packed("input", values), logdet

    def _walk(self, values: dict[str, Tensor], step: Any) -> Any:
        """Takes steps, each as soon as all that it reads is there; the log-determinants added."""
        total: Any = None
        left = [node for node in self.nodes if node["kind"] in _INNER]
        while left:
            waiting = []
            for node in left:
                made = step(node, values)
                if made is None:
                    waiting.append(node)
                elif made is not _NOTHING:
                    total = made if total is None else total + made
            if len(waiting) == len(left):
                names = ", ".join(node["name"] for node in left)
                raise ArgumentError(f"GraphNetwork: the nodes {names} wait for each other.")
            left = waiting
        return total

    def _forwards(self, node: Node, values: dict[str, Tensor]) -> Any:
        gives, kind = _given_by(node, self._modules), node["kind"]
        read = _all_of(values, [*node["inputs"], *node.get("conditions", [])])
        if read is None:
            return None
        states, logdet = read[: len(node["inputs"])], _NOTHING
        context = _joined(read[len(states) :])
        if kind == "feature":
            made: Any = [run(self._modules[node["name"]], _joined(states), context)]
        elif kind == "split":
            made = states[0].split(node["sizes"], node.get("axis", 1))
        elif kind == "concat":
            made = [torch.cat(states, node.get("axis", 1))]
        else:
            state = states[0] if len(states) == 1 else tuple(states)
            y, logdet = run(self._modules[node["name"]], state, context)
            made = [y] if isinstance(y, Tensor) else y
        values.update(zip(gives, made, strict=True))
        return logdet

    def _backwards(self, node: Node, values: dict[str, Tensor]) -> Any:
        kind = node["kind"]
        if kind == "feature":
            return self._forwards(node, values)
        conditions = node.get("conditions", [])
        read = _all_of(values, [*_given_by(node, self._modules), *conditions])
        if read is None:
            return None
        states, logdet = read[: len(read) - len(conditions)], _NOTHING
        if kind == "split":
            made: Any = [torch.cat(states, node.get("axis", 1))]
        elif kind == "concat":
            axis = node.get("axis", 1)
            made = states[0].split([self.shapes[e][axis] for e in node["inputs"]], axis)
        else:
            context = _joined(read[len(states) :])
            state = states[0] if len(states) == 1 else tuple(states)
            x, logdet = run_back(self._modules[node["name"]], state, context)
            made = [x] if isinstance(x, Tensor) else x
        values.update(zip(node["inputs"], made, strict=True))
        return logdet

    def _shapes_of_states(self) -> dict[str, Shape]:
        """The shapes of one sample of all states, by name."""
        shapes = {n["name"]: (1, *n["shape"]) for n in self.nodes if n["kind"] in _SOURCES}

        def step(node: Node, found: dict[str, Any]) -> Any:
            if node["kind"] == "feature":
                return _NOTHING
            read = _all_of(found, node["inputs"])
            if read is None:
                return None
            axis = node.get("axis", 1)
            if node["kind"] == "split":
                made: Any = [_resized(read[0], axis, size) for size in node["sizes"]]
            elif node["kind"] == "concat":
                made = [_resized(read[0], axis, sum(shape[axis] for shape in read))]
            else:
                module = self._modules[node["name"]]
                y = module.output_shape(read[0] if len(read) == 1 else tuple(read))
                made = [y] if len(_given_by(node, self._modules)) == 1 else y
            found.update(zip(_given_by(node, self._modules), made, strict=True))
            return _NOTHING

        self._walk(shapes, step)  # type: ignore[arg-type]
        return shapes

    def _ends(self, kind: str) -> list[str]:
        """The names of the states, or conditions, at the ends."""
        found = [node for node in self.nodes if node["kind"] == kind]
        return [node["inputs"][0] if kind == "output" else node["name"] for node in found]

    def _packed_shape(self, kind: str, samples: int) -> Shape:
        shapes = [self.shapes[name][1:] for name in self._ends(kind)]
        if len(shapes) == 1:
            return (samples, *shapes[0])
        return (samples, sum(torch.Size(shape).numel() for shape in shapes))

    def _packed(self, kind: str, values: dict[str, Tensor]) -> Tensor:
        held = [values[name] for name in self._ends(kind)]
        return held[0] if len(held) == 1 else torch.cat([t.flatten(1) for t in held], 1)

    def _unpacked(self, kind: str, whole: Tensor) -> dict[str, Tensor]:
        names = self._ends(kind)
        expected = self._packed_shape(kind, len(whole))
        if tuple(whole.shape) != expected:
            raise ShapeError(f"GraphNetwork: got {list(whole.shape)}; expected {list(expected)}.")
        if len(names) == 1:
            return {names[0]: whole}
        shapes = [self.shapes[name][1:] for name in names]
        parts = whole.split([torch.Size(shape).numel() for shape in shapes], 1)
        held = zip(names, parts, shapes, strict=True)
        return {name: part.reshape(len(whole), *shape) for name, part, shape in held}

    def _conditions(self, context: Tensor | None) -> dict[str, Tensor]:
        if not self.uses_context:
            return {}
        if context is None:
            raise ArgumentError("GraphNetwork: expected a context, got none.")
        return self._unpacked("condition", context)


_NOTHING = object()
"""What a step gives that has no log-determinant."""

_INNER = ("module", "feature", "split", "concat")
_SOURCES = ("input", "condition")


def _given_by(node: Node, modules: Any) -> list[str]:
    """What the outputs of a node are called."""
    count = 1
    if node["kind"] == "split":
        count = len(node["sizes"])
    elif node["kind"] == "module":
        count = modules[node["name"]].state_size
    return [node["name"]] if count == 1 else [f"{node['name']}.{i}" for i in range(count)]


def _all_of(values: dict[str, Any], names: list[str]) -> list[Any] | None:
    """Those of these names, if all are there."""
    return [values[name] for name in names] if all(name in values for name in names) else None


def _joined(tensors: list[Tensor]) -> Any:
    """Conditions along the channels, None for none."""
    if len(tensors) < 2:
        return tensors[0] if tensors else None
    return torch.cat(tensors, 1)


def _resized(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])
