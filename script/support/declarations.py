#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the declarations of the public modules and headers: their names, their members, and whether they have a docstring. Doxygen and
the compilers' own tools do not read modules that are put together from fragments. It is no parser of C++ but knows this code's style."""
import re

TOKEN = re.compile(r"""
    (?P<doc>///[^\n]*|/\*\*.*?\*/)
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<macro>\#(?:[^\n\\]|\\.)*)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<word>~?[A-Za-z_]\w*|\d[\w'.]*)
  | (?P<space>\s+)
  | (?P<sign>::|->|\S)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

TYPES = {"class", "struct", "enum", "union"}


class Token:
    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line


def tokens_of(source):
    line = 1
    for match in TOKEN.finditer(source):
        if match.lastgroup != "space":
            yield Token(match.lastgroup, match.group(), line)
        line += match.group().count("\n")


class Declaration:
    """One declaration at the level of a namespace or a class: its tokens without comments and bodies, and its members."""

    body = False                # whether it is a type that is defined here
    documented_behind = False   # by a docstring after it, which stands for this one alone

    def __init__(self, first):
        self.words, self.first, self.last, self.documented, self.members = [], first, first, False, []
        self.access = "public"

    def kind(self):
        words = [word for word in self.without_template() if word not in ("export", "inline", "constexpr", "static", "typedef", "extern")]
        return words[0] if words else ""

    def name(self):
        words = self.without_template()
        if self.kind() in TYPES and self.body:
            for i, word in enumerate(words):
                if word in TYPES and word != "class" or word == "class" and words[i - 1] != "enum":
                    head = words[i + 1:words.index(":")] if ":" in words else words[i + 1:]
                    names = [w for w in head if re.match(r"[A-Za-z_]\w*$", w) and w not in TYPES | {"final"}]
                    return names[-1] if names else ""   # after attributes, and macros that stand for them
        if self.kind() == "using" and "=" in words:
            return words[words.index("=") - 1]
        if "operator" in words:
            at = words.index("operator")
            return "operator" + "".join(words[at + 1:words.index("(", at + 2) if "(" in words[at + 2:] else at + 2])
        if self.kind() == "concept":
            return words[words.index("concept") + 1]
        end = len(words)
        for stop in ("=", "{"):
            if stop in words:
                end = min(end, words.index(stop))
        for i, word in enumerate(words[:end]):
            if word == "(" and i > 0 and re.match(r"~?[A-Za-z_]\w*$", words[i - 1]) and words[i - 1] not in ("noexcept", "alignas", "decltype", "requires"):
                return words[i - 1]
        names = [w for w in words[:end] if re.match(r"[A-Za-z_]\w*$", w)]
        return names[-1] if names else ""

    def without_template(self):
        words = self.words
        while words[:2] == ["template", "<"]:
            depth = 0
            for i, word in enumerate(words[1:], 1):
                depth += {"<": 1, ">": -1}.get(word, 0)
                if depth == 0:
                    words = words[i + 1:]
                    break
            else:
                break
        return words

    def needs_none(self):
        tail = self.words[-3:]
        return (tail[-2:] == ["=", "delete"] or tail[-2:] == ["=", "default"] or "override" in self.words or self.words[:1] == ["friend"]
                or self.kind() in ("static_assert", "")
                or (self.kind() == "using" and "::" in self.words and "=" not in self.words)
                or (self.kind() in TYPES and not self.body))

    def is_function(self):
        return "(" in self.words and self.kind() not in TYPES


def as_docstrings(tokens):
    """The tokens of a header for C: a comment behind code on its line is a docstring of that, any other of what follows."""
    last = None
    for token in tokens:
        if token.kind in ("comment", "doc"):
            behind = last is not None and last.line == token.line
            yield Token("doc", "///<" if behind else "///", token.line)
            continue
        last = token
        yield token


def declarations_of(tokens, inside=None):
    """Reads declarations up to the brace that closes what they are in."""
    found, current, pending, parens = [], None, None, 0
    access = "private" if inside == "class" else "public"
    enumerators = inside == "enum"

    def finish(line):
        nonlocal current
        if current is not None and current.words:
            current.last, current.access = line, access
            found.append(current)
        current = None

    for token in tokens:
        if token.kind == "doc":
            trailing = token.text.startswith(("///<", "/**<"))
            if trailing and current is not None:
                current.documented_behind = True
            elif trailing and found:
                found[-1].documented_behind = True
            else:
                pending = token
            continue
        if token.kind == "comment":
            continue
        if token.kind == "macro":
            macro = re.match(r"\s*#\s*define\s+(\w+)", token.text)
            if macro and inside is None and not macro.group(1).endswith("_H"):
                one = Declaration(token.line)
                one.words, one.documented = ["#define", macro.group(1)], pending is not None
                one.last = token.line + token.text.count("\n")
                found.append(one)
            pending = None
            continue
        if current is None:
            if token.text == "}":
                return found
            if token.text in (";", ",", "public", "private", "protected", ":"):
                access = token.text if token.text in ("public", "private", "protected") else access
                continue
            current = Declaration(token.line)
            current.documented, pending = pending is not None, None
        if token.text == "(":
            parens += 1
        elif token.text == ")":
            parens -= 1
        if token.text == "{" and parens == 0:
            kind, words = current.kind(), current.words
            if not words:   # a body without a head: of a function that was finished
                skip_braces(tokens)
                current = None
                continue
            if words[-1] != "{}" and re.match(r"\w+$|>$", words[-1]) and in_initialisers(words):
                skip_braces(tokens)
                words.append("{}")
                continue
            if kind == "namespace" and words[-1:] == ["detail"]:
                skip_braces(tokens)
                current = None
                continue
            if kind in ("namespace", "extern") or words[:1] == ["extern"]:
                found += declarations_of(tokens)
                current = None
                continue
            if kind in TYPES and "(" not in [w for w in words if w != "alignas"][:2] and not is_function(words):
                current.body = True
                current.members = declarations_of(tokens, "enum" if kind == "enum" else kind)
                continue
            end = skip_braces(tokens)
            if not is_function(current.without_template()):   # an initialiser: the declaration goes on
                continue
            finish(end)
            continue
        if (token.text == ";" and parens == 0) or (enumerators and token.text == "," and parens == 0):
            finish(token.line)
            continue
        if token.text == "}" and parens == 0:
            finish(token.line)
            return found
        current.words.append(token.text)
    finish(0)
    return found


def in_initialisers(words):
    """Whether these words, up to a brace, are a constructor's head and some of its member initialisers."""
    if ":" not in words or not is_function(words):
        return False
    return ")" in words[:words.index(":")]


def is_function(words):
    """Whether these words, up to a brace, are a function's head: a parameter list that is no attribute's or initialiser's."""
    depth = 0
    for i, word in enumerate(words):
        depth += {"[": 1, "]": -1}.get(word, 0)
        if word == "=" and depth == 0 and words[i - 1] not in ("operator", "="):
            return False
        if word == "(" and depth == 0 and i > 0 and words[i - 1] not in ("alignas", "decltype"):
            return True
    return False


def skip_braces(tokens):
    """Reads to the end of what a brace opened, and returns its line."""
    depth = 1
    for token in tokens:
        depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if depth == 0:
            return token.line
    return 0


def declarations_in(path):
    """The declarations of a file. In a header for C any comment is a docstring."""
    tokens = tokens_of(path.read_text(encoding="utf-8"))
    return declarations_of(as_docstrings(tokens) if path.suffix == ".h" else tokens)


def public_names(root):
    """The names that the umbrella module lists."""
    return set(re.findall(r"using tslab::(\w+);", (root / "modules/tslab.cppm").read_text(encoding="utf-8")))


def module_files(root):
    return sorted([*root.glob("modules/**/*.hpp"), *root.glob("pmr/*.hpp")])


def header_files(root):
    return sorted([*root.glob("c/include/**/*.h"), *root.glob("c/include/**/*.hpp"), *root.glob("pmr/boost/include/**/*.hpp")])
