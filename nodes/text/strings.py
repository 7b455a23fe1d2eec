"""Texts: joining, cutting, comparing, and regular expressions."""

import re
from typing import Annotated, Literal

from execution.declare.node import Multiline, Options, Output, Range, Tip, node

Text = Annotated[str, Multiline(), Tip("The text to work on.")]
Pattern = Annotated[str, Multiline(), Tip("A regular expression in Python's syntax.")]
AnyCase = Annotated[bool, Tip("Take upper and lower case as the same.")]
Lines = Annotated[bool, Tip("Let ^ and $ match at each line, not only at the ends of the text.")]
DotAll = Annotated[bool, Tip("Let the dot match line breaks too.")]
CaseSensitive = Annotated[bool, Tip("Take upper and lower case as different.")]


@node("StringConcatenate", category="utils/string")
def concatenate(
    string_a: Annotated[str, Multiline(), Tip("The first text.")],
    string_b: Annotated[str, Multiline(), Tip("The second text.")],
    delimiter: Annotated[str, Options(multiline=False), Tip("What stands between the two.")] = "",
) -> str:
    """Concatenate.

    Joins two texts.
    """
    return string_a + delimiter + string_b


@node("StringSubstring", category="utils/string")
def substring(
    string: Text,
    start: Annotated[int, Tip("The first character taken, counted from 0; negative counts from the end.")],
    end: Annotated[int, Tip("The first character left out; negative counts from the end.")],
) -> str:
    """Substring.

    Cuts a piece out of a text.
    """
    return string[start:end]


@node("StringLength", category="utils/string")
def length(string: Text) -> Annotated[int, Output("length")]:
    """Length.

    Counts the characters of a text.
    """
    return len(string)


@node("CaseConverter", category="utils/string", v3=True)
def convert_case(
    string: Text,
    mode: Annotated[
        Literal["UPPERCASE", "lowercase", "Capitalize", "Title Case"], Tip("How the letters are written.")
    ],
) -> str:
    """Case Converter.

    Writes a text in capitals, small letters or both.
    """
    convert = {
        "UPPERCASE": str.upper,
        "lowercase": str.lower,
        "Capitalize": str.capitalize,
        "Title Case": str.title,
    }
    return convert[mode](string)


@node("StringTrim", category="utils/string", v3=True)
def trim(
    string: Text,
    mode: Annotated[Literal["Both", "Left", "Right"], Tip("At which end white space is removed.")],
) -> str:
    """Trim.

    Removes white space at the ends of a text.
    """
    return {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}[mode](string)


@node("StringReplace", category="utils/string")
def replace(
    string: Text,
    find: Annotated[str, Multiline(), Tip("What to look for, letter by letter.")],
    replace: Annotated[str, Multiline(), Tip("What to put in its place.")],
) -> str:
    """Replace.

    Replaces each occurrence of a piece of text.
    """
    return string.replace(find, replace)


@node("StringContains", category="utils/string")
def contains(
    string: Text,
    substring: Annotated[str, Multiline(), Tip("What to look for.")],
    case_sensitive: CaseSensitive = True,
) -> Annotated[bool, Output("contains")]:
    """Contains.

    Tells whether a text holds another.
    """
    if case_sensitive:
        return substring in string
    return substring.casefold() in string.casefold()


@node("StringCompare", category="utils/string", v3=True)
def compare(
    string_a: Annotated[str, Multiline(), Tip("The text that is looked at.")],
    string_b: Annotated[str, Multiline(), Tip("What it is compared with.")],
    mode: Annotated[Literal["Starts With", "Ends With", "Equal"], Tip("What has to be true.")],
    case_sensitive: CaseSensitive = True,
) -> bool:
    """Compare.

    Tells whether a text starts with, ends with or equals another.
    """
    if not case_sensitive:
        string_a, string_b = string_a.casefold(), string_b.casefold()
    if mode == "Starts With":
        return string_a.startswith(string_b)
    return string_a.endswith(string_b) if mode == "Ends With" else string_a == string_b


@node("RegexMatch", category="utils/string")
def regex_match(
    string: Text,
    regex_pattern: Pattern,
    case_insensitive: AnyCase = True,
    multiline: Lines = False,
    dotall: DotAll = False,
) -> Annotated[bool, Output("matches")]:
    """Regex Match.

    Tells whether a pattern occurs in a text.
    """
    return bool(compiled(regex_pattern, case_insensitive, multiline, dotall).search(string))


@node("RegexExtract", category="utils/string", v3=True)
def regex_extract(
    string: Text,
    regex_pattern: Pattern,
    mode: Annotated[
        Literal["First Match", "All Matches", "First Group", "All Groups"],
        Tip("Whole matches or one group of them; the first, or all on a line each."),
    ],
    case_insensitive: AnyCase = True,
    multiline: Lines = False,
    dotall: DotAll = False,
    group_index: Annotated[int, Range(0, 100), Tip("The group wanted, from 1; 0 is the whole match.")] = 1,
) -> str:
    """Regex Extract.

    Takes what matches a pattern out of a text; nothing gives an empty text.
    """
    matches = list(compiled(regex_pattern, case_insensitive, multiline, dotall).finditer(string))
    if mode in ("First Match", "First Group"):
        matches = matches[:1]
    group = 0 if mode in ("First Match", "All Matches") else group_index
    return "\n".join(match[group] or "" for match in matches if group <= match.re.groups)


@node("RegexReplace", category="utils/string")
def regex_replace(
    string: Text,
    regex_pattern: Pattern,
    replace: Annotated[str, Multiline(), Tip(r"What takes the place of a match; \1 is its first group.")],
    case_insensitive: AnyCase | None = True,
    multiline: Lines | None = False,
    dotall: DotAll | None = False,
    count: Annotated[int, Range(0, 100), Tip("How many matches are replaced at most; 0 is all.")] | None = 0,
) -> str:
    """Regex Replace.

    Replaces what matches a pattern.
    """
    pattern = compiled(regex_pattern, bool(case_insensitive), bool(multiline), bool(dotall))
    return pattern.sub(replace, string, count=count or 0)


def compiled(pattern: str, case_insensitive: bool, multiline: bool, dotall: bool) -> re.Pattern[str]:
    """The compiled pattern.

    Raises:
        ValueError: the pattern is not a regular expression; says where it goes wrong.
    """
    flags = (case_insensitive * re.IGNORECASE) | (multiline * re.MULTILINE) | (dotall * re.DOTALL)
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        problem = f"input 'regex_pattern' is not a regular expression: {error}; check {pattern!r}"
        raise ValueError(problem) from error
