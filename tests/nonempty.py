"""A check of every item proves nothing where there is no item."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SAME_LENGTH = {"enumerate", "list", "map", "reversed", "set", "sorted", "tuple", "zip"}
"""Built-in functions whose result has as many items as what they are given, or one where that has one."""
SAME_AGAIN = {"items", "keys", "values"}


def some(items: Iterable[T]) -> Iterator[T]:
    """The items, of which there must be one at least.

    assert all(face.score > 0.5 for face in some(faces))
    """
    item = absent = object()
    for item in items:
        yield item
    assert item is not absent, "there is no item, so nothing was checked"


def vacuous(code: str) -> list[int]:
    """Lines of ``code`` with a check of items that may be none: in ``all`` or ``any``, or in the body of a loop."""
    tree = ast.parse(code)
    return sorted({line for node in ast.walk(tree) for line in _vacuous(node)})


def _vacuous(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.Assert):
        yield from (one.lineno for one in _quantified(node.test) if not _has_items(one.generators[0]))
    elif isinstance(node, ast.For) and not _certain(node.iter) and _asserts(node.body):
        yield node.lineno


def _asserts(body: list[ast.stmt]) -> bool:
    return any(isinstance(one, ast.Assert) for statement in body for one in ast.walk(statement))


def _quantified(test: ast.expr) -> Iterator[ast.GeneratorExp]:
    """What must hold of every item: ``all(...)``, and ``not any(...)``."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _generators(test.operand, "any")
    elif isinstance(test, ast.BoolOp):
        for part in test.values:
            yield from _quantified(part)
    else:
        yield from _generators(test, "all")


def _generators(test: ast.expr, name: str) -> Iterator[ast.GeneratorExp]:
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == name:
        yield from (one for one in test.args if isinstance(one, ast.GeneratorExp))


def _has_items(source: ast.comprehension) -> bool:
    return not source.ifs and _certain(source.iter)


def _certain(items: ast.expr) -> bool:
    """Whether there is one item for certain: it is written out, a constant, a class of constants, or from ``some``."""
    if isinstance(items, ast.Tuple | ast.List | ast.Set):
        return bool(items.elts)
    if isinstance(items, ast.Dict):
        return bool(items.keys)
    if isinstance(items, ast.Constant):
        return bool(items.value)
    if isinstance(items, ast.Name | ast.Attribute):
        name = items.id if isinstance(items, ast.Name) else items.attr
        return name[0].isupper()
    return isinstance(items, ast.Call) and _certain_call(items)


def _certain_call(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in SAME_AGAIN and _certain(call.func.value)
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name == "range":
        return bool(list(range(*map(ast.literal_eval, call.args)))) if all(map(_is_number, call.args)) else False
    if name == "zip":
        strict = any(one.arg == "strict" and ast.literal_eval(one.value) for one in call.keywords)
        return strict and any(map(_certain, call.args))
    return name == "some" or (name in SAME_LENGTH and any(map(_certain, call.args)))


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int)
