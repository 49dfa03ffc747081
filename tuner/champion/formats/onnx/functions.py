"""What TensorFlow's graphs have no ONNX conversion for, as ONNX functions of standard operations.

They are inlined in the end, so that a file has operations of the domains "" and "ai.onnx.ml" only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

DOMAIN = "champion"
OPSET = 20
ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 4
_OPSETS = (helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET), helper.make_opsetid(DOMAIN, 1))

# Unknown characters in a row that are counted as so many: each is an operation of its own.
LONGEST_UNKNOWN = 32
# What tf.strings.split takes for whitespace beside a space.
_WHITESPACE = "\t\n\v\f\r"
# Characters that are looked for at once before any of them is removed.
_GROUP = 64
_REMOVE = "Remove"

# Puts ``to`` for every ``from``, one character, in texts of any shape. A text without it costs one StringSplit.
_REPLACE = f"""
<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>
Replace <from> (text, to) => (replaced) {{
    pieces, counts = StringSplit <delimiter: string = @from> (text)
    one = Constant <value_ints = [1]> ()
    last_axis = Constant <value_ints = [-1]> ()
    most = ReduceMax <keepdims = 0> (counts)
    one_piece = Constant <value_int = 1> ()
    some = Greater (most, one_piece)
    replaced = If (some) <
        then_branch = joined () => (all) {{
            blank = Constant <value_strings = [""]> ()
            shape = Shape (text)
            rows = Concat <axis = 0> (shape, one)
            empty = Expand (blank, rows)
            padded = Concat <axis = -1> (pieces, empty)
            zero = Constant <value_int = 0> ()
            first = Gather <axis = -1> (padded, zero)
            rest = Sub (most, one_piece)
            true = Cast <to = 9> (one_piece)
            all = Loop (rest, true, first) <
                body = next_piece (int64 place, bool going, string[] so_far) => (bool go, string[] longer) {{
                    go = Identity (going)
                    index = Add (place, one_piece)
                    piece = Gather <axis = -1> (padded, index)
                    added = StringConcat (to, piece)
                    with_it = StringConcat (so_far, added)
                    there = Less (index, counts)
                    longer = Where (there, with_it, so_far)
                }}
            >
        }},
        else_branch = as_it_is () => (same) {{
            same = Identity (text)
        }}
    >
}}
"""


# Removes ``letter`` from texts. Smaller than ``Replace``, and slower where no text has it.
_REMOVE_ONE = f"""
<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>
RemoveOne <letter> (text) => (left) {{
    pieces, counts = StringSplit <delimiter: string = @letter> (text)
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    true = Cast <to = 9> (one)
    most = ReduceMax <keepdims = 0> (counts)
    blank = Constant <value_string = ""> ()
    shape = Shape (text)
    empty = Expand (blank, shape)
    left = Loop (most, true, empty) <
        body = next_piece (int64 place, bool going, string[] so_far) => (bool go, string[] longer) {{
            go = Identity (going)
            piece = Gather <axis = -1> (pieces, place)
            longer = StringConcat (so_far, piece)
        }}
    >
}}
"""


@dataclass(frozen=True)
class Lookup:
    """A table from keys to codes; ``unknown`` is every other key's."""

    keys: tuple[Any, ...]
    codes: tuple[int, ...]
    unknown: int

    def node(self, source: str, codes: str) -> onnx.NodeProto:
        kind = "strings" if isinstance(self.keys[0], str) else "int64s"
        attributes: Mapping[str, Any] = {f"keys_{kind}": list(self.keys), "values_int64s": list(self.codes)}
        return helper.make_node(
            "LabelEncoder", [source], [codes], domain=ML_DOMAIN, default_int64=self.unknown, **attributes
        )


@dataclass(frozen=True)
class Tokens:
    """How texts become tokens, and those codes.

    Attributes:
        changes: what is put for which characters before texts are split, one after another.
        removed: characters that are removed after that.
        characters: each is a token; otherwise what stands between whitespace is.
        table: of the tokens.
    """

    changes: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    characters: bool
    table: Lookup

    @property
    def keyed(self) -> Lookup:
        """The table of what texts are split into."""
        return _characters_table(self.table) if self.characters else self.table


def text_functions(tokens: Tokens) -> list[onnx.FunctionProto]:
    """Those that the functions of texts use."""
    plain = [onnx.parser.parse_function(each) for each in (_REPLACE, _REMOVE_ONE)]
    return [*plain, *(_removing(group, letters) for group, letters in enumerate(_groups(tokens.removed)))]


def _groups(letters: Sequence[str]) -> list[Sequence[str]]:
    return [letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP)]


def _removing(group: int, letters: Sequence[str]) -> onnx.FunctionProto:
    """Removes characters: one look at the texts where they have none of them, an operation for each otherwise."""
    pattern = "(?s).*[" + "".join(rf"\x{{{ord(letter):x}}}" for letter in letters) + "].*"
    inner: list[onnx.NodeProto] = []
    text = "text"
    for place, letter in enumerate(letters):
        inner.append(_node("RemoveOne", [text], f"text_{place}", domain=DOMAIN, letter=letter))
        text = f"text_{place}"
    strings = onnx.TensorProto.STRING
    removed = helper.make_graph(inner, "removed", [], [helper.make_tensor_value_info(text, strings, None)])
    same = helper.make_graph(
        [_node("Identity", ["text"], "same")], "as_it_is", [], [helper.make_tensor_value_info("same", strings, None)]
    )
    nodes = [
        _node("RegexFullMatch", ["text"], "has", pattern=pattern),
        _node("Cast", ["has"], "count", to=onnx.TensorProto.INT32),
        helper.make_node("ReduceMax", ["count"], ["most"], keepdims=0),
        _node("Cast", ["most"], "some", to=onnx.TensorProto.BOOL),
        _node("If", ["some"], "left", then_branch=removed, else_branch=same),
    ]
    return _function(f"{_REMOVE}{group}", ["text"], ["left"], nodes)


def lookup_function(name: str, table: Lookup) -> onnx.FunctionProto:
    """Codes, int64, of keys, of the same shape."""
    return _function(name, ["keys"], ["codes"], [table.node("keys", "codes")])


def sequence_function(name: str, tokens: Tokens, length: int | None) -> onnx.FunctionProto:
    """Codes of the tokens of texts, (batch,): int64 (batch, length), 0 behind the last one.

    Args:
        length: longer texts lose their end; without it the batch's longest has its length.
    """
    nodes = _split(tokens)
    nothing = _constant(nodes, "nothing", np.array([[0]]))
    nodes += [
        tokens.keyed.node("tokens", "found"),
        *_there("tokens", "counts"),
        _node("Where", ["there", "found", nothing], "codes"),
    ]
    if length is None:
        return _function(name, ["texts"], ["codes"], nodes)
    axis, start, end = (
        _constant(nodes, label, np.array([value])) for label, value in (("along", 1), ("begin", 0), ("length", length))
    )
    nodes += [
        _node("Shape", ["texts"], "batch"),
        _node("Concat", ["batch", end], "room", axis=0),
        _node("Expand", [nothing, "room"], "empty"),
        _node("Concat", ["codes", "empty"], "padded", axis=1),
        _node("Slice", ["padded", start, end, axis], "sequence"),
    ]
    return _function(name, ["texts"], ["sequence"], nodes)


def bag_function(
    name: str, tokens: Tokens, ngrams: int, size: int, weights: npt.NDArray[np.float32] | None, most: float | None
) -> onnx.FunctionProto:
    """How often each code is among the tokens of texts, (batch,): float32 (batch, size).

    Args:
        tokens: of characters, more than ``LONGEST_UNKNOWN`` unknown ones in a row count as
            so many.
        ngrams: of up to so many tokens in a row, a space between them.
        weights: what each code's count is multiplied by, (size,).
        most: what a count is at most.
    """
    nodes = list(_split(tokens))
    one = _constant(nodes, "one", np.array([1]))
    zero = _constant(nodes, "zero", np.array([0]))
    space = _constant(nodes, "space", np.array(" "))
    blank = _constant(nodes, "blank", np.array([""]))
    nodes += [
        _node("Shape", ["tokens"], "shape"),
        _node("Slice", ["shape", one, _constant(nodes, "two", np.array([2])), zero], "width"),
        _node("Shape", ["texts"], "batch"),
        _node("Concat", ["batch", _constant(nodes, "more", np.array([max(ngrams - 1, 1)]))], "room", axis=0),
        _node("Expand", [blank, "room"], "blanks"),
        _node("Concat", ["tokens", "blanks"], "padded", axis=1),
    ]
    gram, grams, valid = "tokens", [], []
    for width in range(1, ngrams + 1):
        if width > 1:
            start = _constant(nodes, f"start_{width}", np.array([width - 1]))
            nodes += [
                _node("Add", ["width", start], f"end_{width}"),
                _node("Slice", ["padded", start, f"end_{width}", one], f"next_{width}"),
                _node("StringConcat", [space, f"next_{width}"], f"spaced_{width}"),
                _node("StringConcat", [gram, f"spaced_{width}"], f"gram_{width}"),
                _node("Sub", ["counts", start], f"counts_{width}"),
            ]
            gram = f"gram_{width}"
        counts = f"counts_{width}" if width > 1 else "counts"
        nodes += [
            *_there("tokens", counts, f"_{width}"),
            _node("Cast", [f"there_{width}"], f"ones_{width}", to=onnx.TensorProto.FLOAT),
        ]
        grams.append(gram)
        valid.append(f"ones_{width}")
    size_name = _constant(nodes, "size", np.array([size]))
    nothing = _constant(nodes, "nothing", np.float32(0))
    nodes += [
        # One table of all: it may have tens of thousands of keys.
        _node("Concat", grams, "grams", axis=1),
        tokens.keyed.node("grams", "codes"),
        _node("Concat", valid, "ones", axis=1),
        _node("Concat", ["batch", size_name], "bag_shape", axis=0),
        _node("Expand", [nothing, "bag_shape"], "empty_bag"),
        _node("ScatterElements", ["empty_bag", "codes", "ones"], "bag_0", axis=1, reduction="add"),
    ]
    last = "bag_0"
    if tokens.characters:
        nodes += [*_uncounted(ngrams, tokens.table.unknown, size), _node("Add", [last, "uncounted"], "bag_all")]
        last = "bag_all"
    if most is not None:
        nodes.append(_node("Min", [last, _constant(nodes, "most", np.float32(most))], "bag_1"))
        last = "bag_1"
    if weights is not None:
        nodes.append(_node("Mul", [last, _constant(nodes, "weights", weights)], "bag_2"))
        last = "bag_2"
    nodes.append(_node("Identity", [last], "bag"))
    return _function(name, ["texts"], ["bag"], nodes)


def _characters_table(table: Lookup) -> Lookup:
    """A table of n-grams of characters, as ``_split`` gives them: a space that is one of them has another one's place.

    In a key the characters stand at every other place, spaces between them.
    """
    stand_in = _stand_ins(table)[0]
    keys = ("".join(stand_in if not at % 2 and c == " " else c for at, c in enumerate(key)) for key in table.keys)
    return Lookup(tuple(keys), table.codes, table.unknown)


def alphabet(table: Lookup) -> list[str]:
    """The characters that a table of n-grams of characters has in its keys."""
    return sorted({character for key in table.keys for character in key[::2]})


def _stand_ins(table: Lookup) -> tuple[str, str]:
    """Two characters that no key has: for a space, and for the first of them where a text has it."""
    known = set(alphabet(table))
    unused = (chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in known)
    return next(unused), next(unused)


def _changes(tokens: Tokens) -> list[tuple[str, str]]:
    """What is put for which characters behind those that are removed, before a text is split at spaces."""
    if not tokens.characters:
        return [(each, " ") for each in _WHITESPACE]
    stand_in, other = _stand_ins(tokens.table)
    spaced = [stand_in if each == " " else each for each in alphabet(tokens.table)]
    return [(stand_in, other), (" ", stand_in), *((each, f" {each} ") for each in spaced)]


def _split(tokens: Tokens) -> list[onnx.NodeProto]:
    """From ``texts``, (batch,), to ``tokens``, (batch, most), and ``counts``, (batch,).

    Of characters, those that no key has stay together, as one token.
    """
    nodes: list[onnx.NodeProto] = []
    texts = _replaced(nodes, "texts", "changed", tokens.changes)
    for group in range(len(_groups(tokens.removed))):
        nodes.append(_node(f"{_REMOVE}{group}", [texts], f"left_{group}", domain=DOMAIN))
        texts = f"left_{group}"
    texts = _replaced(nodes, texts, "text", _changes(tokens))
    return [*nodes, helper.make_node("StringSplit", [texts], ["tokens", "counts"])]


def _replaced(nodes: list[onnx.NodeProto], texts: str, name: str, changes: Sequence[tuple[str, str]]) -> str:
    for place, (letter, to) in enumerate(changes):
        with_it = _constant(nodes, f"{name}_to_{place}", np.array(to))
        nodes.append(_node("Replace", [texts, with_it], f"{name}_{place}", domain=DOMAIN, **{"from": letter}))
        texts = f"{name}_{place}"
    return texts


def _uncounted(ngrams: int, unknown: int, size: int) -> list[onnx.NodeProto]:
    """``uncounted``, (batch, size): the unknown n-grams that are not there since unknown characters stay together."""
    nodes: list[onnx.NodeProto] = []
    zero = _constant(nodes, "no_length", np.float32(0))
    along = _constant(nodes, "along_tokens", np.array([1]))
    lengths = []
    for length in range(2, LONGEST_UNKNOWN + 1):
        nodes += [
            _node("RegexFullMatch", ["tokens"], f"as_long_{length}", pattern=f"(?s).{{{length},}}"),
            _node("Cast", [f"as_long_{length}"], f"one_more_{length}", to=onnx.TensorProto.FLOAT),
        ]
        lengths.append(f"one_more_{length}")
    nodes += [
        _node("Sum", lengths, "surplus"),
        helper.make_node("ReduceSum", ["surplus", along], ["surplus_of_text"], keepdims=0),
        _node("Cast", ["counts"], "split_into", to=onnx.TensorProto.FLOAT),
        _node("Add", ["split_into", "surplus_of_text"], "characters"),
    ]
    missing = []
    for width in range(1, ngrams + 1):
        less = _constant(nodes, f"less_{width}", np.float32(width - 1))
        for source in ("characters", "split_into"):
            nodes += [
                _node("Sub", [source, less], f"{source}_less_{width}"),
                _node("Max", [f"{source}_less_{width}", zero], f"{source}_grams_{width}"),
            ]
        nodes.append(_node("Sub", [f"characters_grams_{width}", f"split_into_grams_{width}"], f"missing_{width}"))
        missing.append(f"missing_{width}")
    at_unknown = np.zeros((1, size), np.float32)
    at_unknown[0, unknown] = 1
    nodes += [
        _node("Sum", missing, "missing"),
        _node("Unsqueeze", ["missing", along], "missing_column"),
        _node("Mul", ["missing_column", _constant(nodes, "at_unknown", at_unknown)], "uncounted"),
    ]
    return nodes


def _there(tokens: str, counts: str, suffix: str = "") -> list[onnx.NodeProto]:
    """``there``, (batch, most): which places have a token."""
    nodes: list[onnx.NodeProto] = []
    axis = _constant(nodes, f"axis{suffix}", np.array([1]))
    place = _constant(nodes, f"first_place{suffix}", np.int64(0))
    step = _constant(nodes, f"step{suffix}", np.int64(1))
    return [
        *nodes,
        _node("Shape", [tokens], f"tokens_shape{suffix}"),
        _node("Gather", [f"tokens_shape{suffix}", step], f"most{suffix}"),
        _node("Range", [place, f"most{suffix}", step], f"places{suffix}"),
        _node("Unsqueeze", [counts, axis], f"column{suffix}"),
        _node("Less", [f"places{suffix}", f"column{suffix}"], f"there{suffix}"),
    ]


def _constant(nodes: list[onnx.NodeProto], name: str, value: Any) -> str:
    array = np.asarray(value)
    array = array.astype(object) if array.dtype.kind == "U" else array
    tensor = numpy_helper.from_array(array, name)
    nodes.append(helper.make_node("Constant", [], [name], value=tensor))
    return name


def _node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), [output], **attributes)


def _function(
    name: str, inputs: Sequence[str], outputs: Sequence[str], nodes: Sequence[onnx.NodeProto]
) -> onnx.FunctionProto:
    return helper.make_function(DOMAIN, name, list(inputs), list(outputs), list(nodes), list(_OPSETS))
