"""What the source of a definition says: its signature as written, and the strings below its attributes."""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType


def parsed(value: object) -> tuple[ast.AST, str]:
    """Return the definition of a function or class, as a tree and as text."""
    source = textwrap.dedent(inspect.getsource(value))
    return ast.parse(source).body[0], source


def signature(node: ast.FunctionDef, name: str, is_method: bool = False) -> str:
    """Return a definition as written, one argument a line if it is long."""
    if any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list):
        return f"{name}: {ast.unparse(node.returns)}" if node.returns else name
    arguments = [argument for argument in _arguments(node.args) if not (is_method and argument in ("self", "cls"))]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return _call(name, arguments, returns)


def class_signature(node: ast.ClassDef) -> str:
    """Return how a class is called; of one without a constructor of its own, its bases."""
    constructors = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    if constructors:
        return signature(constructors[0], node.name, is_method=True).removesuffix(" -> None")
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
        return _call(node.name, fields)
    bases = [ast.unparse(base) for base in node.bases]
    return _call(f"class {node.name}", bases) if bases else f"class {node.name}"


def _call(name: str, arguments: list[str], returns: str = "", width: int = 88) -> str:
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= width:
        return line
    return "\n".join([f"{name}(", *(f"    {argument}," for argument in arguments), f"){returns}"]).replace("*,,", "*,")


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for argument, default in zip(positional, defaults, strict=True):
        yield _argument(argument, default)
    if arguments.vararg:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(argument, default)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    if default is None:
        return text
    return f"{text} = {ast.unparse(default)}" if argument.annotation else f"{text}={ast.unparse(default)}"


def documented(node: ast.Module | ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield names that are assigned in a body and followed by a string, with that string."""
    for assignment, after in zip(node.body, node.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if is_text and isinstance(after.value.value, str) and isinstance(assignment, ast.Assign | ast.AnnAssign):
            target = assignment.target if isinstance(assignment, ast.AnnAssign) else assignment.targets[0]
            yield ast.unparse(target), after.value.value


def text_of_data(module: ModuleType, name: str) -> str:
    """Return the string below the assignment, in the module that the name comes from; empty if there is none."""
    tree = ast.parse(inspect.getsource(module))
    for target, text in documented(tree):
        if target == name:
            return text
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and name in [alias.name for alias in statement.names]:
            return text_of_data(importlib.import_module(statement.module), name)
    return ""
