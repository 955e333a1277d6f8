"""Text to a checked tree: sqlglot parses, from a vocabulary cut down to the words that are allowed.

Every name is looked up while it is still a token, so that a refusal can say where it stands. sqlglot is imported on
first use, for that takes a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from verosim.errors import SchemaError, did_you_mean
from verosim.expressions.functions import FUNCTIONS, TYPES
from verosim.expressions.values import OPERATORS

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

LENGTH: Final = 2_000  # characters of an expression
DEPTH: Final = 50  # nodes inside each other; a chain such as a + b + c + ... counts once
COPIES: Final = 1000  # times that a part may stand in what polars computes
NESTING: Final = 20  # brackets, `case`, `not` and signs inside each other: the parser takes about 20 calls for each

_GRAMMAR: Final = frozenset({
    "AND", "OR", "NOT", "CASE", "WHEN", "THEN", "ELSE", "END", "IN", "IS", "NULL", "TRUE", "FALSE", "LIKE", "ILIKE",
    "BETWEEN", "INTERVAL", "AS",
})  # fmt: skip
_COPIES: Final = {"Mod": 4, "Between": 2, "substring": 2, "nullif": 2}  # nodes that polars is given a part of so often
_SIGNS: Final = ("==", ">=", "<=", "<>", "!=", "||")
_PLAIN: Final = frozenset({  # the kinds of token that are no words
    "L_PAREN", "R_PAREN", "COMMA", "DASH", "PLUS", "STAR", "SLASH", "MOD", "EQ", "NEQ", "LT", "LTE", "GT", "GTE",
    "DPIPE", "NUMBER", "STRING",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """The text of an expression, for errors that say where in it."""

    text: str

    def __str__(self) -> str:
        return repr(self.text if len(self.text) <= 80 else self.text[:77] + "...")

    def error(self, at: int, message: str) -> SchemaError:
        """at: a position in the text, counted from 0."""
        line, column = self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)
        return SchemaError(f"{self}, line {line}, column {column}: {message}{'' if message[-1] in '.?' else '.'}")


def quoted(name: str) -> str:
    """A column's name as it may always stand in an expression: in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def place(node: exp.Expr) -> int:
    """Where a node begins: the first mark in what it holds, for operators carry none."""
    return min((n.meta["start"] for n in node.walk() if "start" in n.meta), default=0)


def parse(source: Source, columns: Collection[str], functions: Collection[str] = FUNCTIONS) -> exp.Expr:
    """The tree of one expression over these columns; its length, words, names and depth are checked."""
    from sqlglot import exp
    from sqlglot.errors import ParseError, TokenError

    if not isinstance(source.text, str) or not source.text.strip():
        raise SchemaError(f"an expression such as 'age >= 18' was wanted, not {source.text!r}.")
    if len(source.text) > LENGTH:
        raise source.error(LENGTH, f"an expression has at most {LENGTH:,} characters; this has {len(source.text):,}")
    words, grammar = _language()
    try:
        tokens = _with_dots(words().tokenize(source.text), columns)
        _check_tokens(tokens, source, columns, functions)
        trees: list[exp.Expr | None] = grammar().parse_into(exp.Condition, tokens, source.text)
    except TokenError as error:
        raise source.error(len(source.text) - 1, "a quote is not closed") from error
    except ParseError as error:
        raise _parse_error(source, error.errors[0]) from error
    except RecursionError as error:
        raise source.error(0, "nested too deeply") from error
    if len(trees) != 1 or trees[0] is None:
        raise source.error(0, "one expression was wanted")
    _check_depth(trees[0], source)
    return trees[0]


@cache
def _language() -> tuple[type[Any], type[Any]]:
    """sqlglot's tokenizer and parser, without the words and functions that are not ours."""
    from sqlglot.parser import Parser
    from sqlglot.tokens import Tokenizer

    class Words(Tokenizer):
        KEYWORDS = {word: Tokenizer.KEYWORDS[word] for word in (*_GRAMMAR, *TYPES, *_SIGNS)}  # noqa: RUF012

    class Grammar(Parser):
        FUNCTIONS = {}  # noqa: RUF012  (every call becomes an `Anonymous` node: what its name means is ours to say)
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012
        FUNCTION_PARSERS = {"CAST": Parser.FUNCTION_PARSERS["CAST"]}  # noqa: RUF012
        NO_PAREN_FUNCTION_PARSERS = {"CASE": Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}  # noqa: RUF012

    return Words, Grammar


def _parse_error(source: Source, first: dict[str, Any]) -> SchemaError:
    """sqlglot names the line and the column where a token ends; we say where it begins."""
    mark = str(first.get("highlight") or "")
    starts = [0, *(i + 1 for i, c in enumerate(source.text) if c == "\n")]
    at = starts[int(first.get("line") or 1) - 1] + int(first.get("col") or 1) - max(len(mark), 1)
    what = str(first.get("description") or "not understood").rstrip(".")
    what = "something is missing here" if what.startswith("Required keyword") else what
    return source.error(max(at, 0), f"{what}, near {mark!r}" if mark else what)


# ------------------------------------------------------------------------------------------------- tokens


def _with_dots(tokens: list[Token], columns: Collection[str]) -> list[Token]:
    """The tokens with customers.joined as one, where that is a column: one of the row that owns this one."""
    from sqlglot.tokenizer_core import TokenType

    out: list[Token] = []
    i = 0
    while i < len(tokens):
        name = "".join(token.text for token in tokens[i : i + 3])
        if i + 2 < len(tokens) and tokens[i + 1].token_type.name == "DOT" and name in columns:
            tokens[i].text, tokens[i].token_type = name, TokenType.IDENTIFIER
            out.append(tokens[i])
            i += 3
        else:
            out.append(tokens[i])
            i += 1
    return out


def _check_tokens(tokens: list[Token], source: Source, columns: Collection[str], functions: Collection[str]) -> None:
    """Refuse each unknown sign and name where it stands; afterwards every column's name is a quoted identifier."""
    from sqlglot.tokenizer_core import TokenType

    if not tokens or any(token.comments for token in tokens):
        raise source.error(0, "comments are not allowed in an expression")
    brackets = cases = signs = 0
    for i, token in enumerate(tokens):
        kind, upper = token.token_type.name, token.text.upper()
        grammar = upper in _GRAMMAR and kind not in ("STRING", "IDENTIFIER")
        grammar = grammar and (upper != "END" or cases > 0)  # outside `case`, `end` may be a column
        cases += grammar * ((upper == "CASE") - (upper == "END"))
        brackets += (kind == "L_PAREN") - (kind == "R_PAREN")
        signs = signs + 1 if kind in ("NOT", "DASH", "PLUS") else 0
        if brackets + cases + signs > NESTING:
            raise source.error(token.start, f"nested more than {NESTING} deep")
        if grammar or kind in _PLAIN:
            continue
        if kind not in ("VAR", "IDENTIFIER", "END") and upper not in TYPES:
            hint = "; write 0.5, and in double quotes a name that has a dot" if kind == "DOT" else ""
            raise source.error(token.start, f"{token.text!r} is not part of the language{hint}")
        if _is_column(tokens, i, source, functions):
            _check_name(token, source, columns)
            token.token_type = TokenType.IDENTIFIER


def _is_column(tokens: list[Token], i: int, source: Source, functions: Collection[str]) -> bool:
    """Whether this word names a column: it is no function, type, prefix of a literal, or unit of an interval."""
    kinds = [tokens[j].token_type.name if 0 <= j < len(tokens) else "" for j in (i - 2, i - 1, i, i + 1)]
    token, upper = tokens[i], tokens[i].text.upper()
    if kinds[2] == "IDENTIFIER":
        if kinds[3] == "L_PAREN":
            raise source.error(token.start, f"{quoted(token.text)} in quotes is a column, not a function")
        return True
    if kinds[1] == "ALIAS":  # cast(... as type)
        if upper not in TYPES or kinds[3] == "L_PAREN":
            types = ", ".join(t.lower() for t in TYPES)
            raise source.error(token.start, f"cannot cast to {token.text!r}; the types are {types}, without a size")
        return False
    if kinds[3] == "L_PAREN":
        if token.text.lower() not in functions and upper != "CAST":
            raise source.error(
                token.start, f"no function {token.text!r}; {did_you_mean(token.text.lower(), functions)}"
            )
        return False
    literal = kinds[3] == "STRING" and upper in ("DATE", "TIMESTAMP", "DATETIME", "TIME")
    return not literal and kinds[0] != "INTERVAL"


def _check_name(token: Token, source: Source, columns: Collection[str]) -> None:
    if token.text in columns:
        return
    longer = [name for name in columns if len(name) > len(token.text) and source.text.startswith(name, token.start)]
    if longer:
        raise source.error(token.start, f"write {quoted(max(longer, key=len))}, in double quotes")
    if token.text.upper() == "SELECT":
        raise source.error(token.start, "queries and tables have no place here")
    raise source.error(token.start, f"no column {token.text!r}; {did_you_mean(token.text, columns)}")


def _check_depth(root: exp.Expr, source: Source) -> None:
    todo = [(root, 1, 1)]
    while todo:
        node, depth, copies = todo.pop()
        copies *= _COPIES.get(str(node.this).lower() if type(node).__name__ == "Anonymous" else type(node).__name__, 1)
        if type(node).__name__ == "Case" and node.this is not None:
            copies *= len(node.args["ifs"])
        if depth > DEPTH or copies > COPIES:
            what = (
                f"nested more than {DEPTH} deep" if depth > DEPTH else "too many %, between, nullif ... in each other"
            )
            raise source.error(place(node), what)
        chain = node.this if type(node).__name__ in OPERATORS else None
        todo += [(child, depth + (child is not chain), copies) for child in node.iter_expressions()]
