"""XML of providers, read so that nothing in it can grow, be fetched, or mean two things."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

_DECLARATION: Final = re.compile(r"\s*<\?xml\s[^<>]{0,200}\?>")
_DOCTYPE: Final = re.compile(r"<!(?!--|\[CDATA\[)")
SAML: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
METADATA: Final = "{urn:oasis:names:tc:SAML:2.0:metadata}"
DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"


class XmlError(ValueError):
    """A document that is not read; the text says why and repeats nothing of it."""


def parse(data: bytes, *, largest: int, plain: bool = False) -> Element:
    """The root of a document in UTF-8. Comments and processing instructions are left out.

    With `plain` the document may hold nothing but elements and text: a comment in the middle of a
    name makes some readers see less of the name than others do.

    Raises:
        XmlError: it is no such document, is larger than `largest` bytes, or declares a type.
    """
    from lxml import etree  # type: ignore[import-untyped]  # has no types

    if len(data) > largest:
        raise XmlError(f"the document is larger than {largest} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise XmlError("the document is not in UTF-8") from error
    declaration = _DECLARATION.match(text)
    body = text[declaration.end() :] if declaration else text
    if plain and ("<!" in body or "<?" in body):
        raise XmlError("the document holds comments, instructions, sections or a type")
    if _DOCTYPE.search(body):
        raise XmlError("the document declares a type")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=False,
    )
    try:
        root = etree.fromstring(body.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise XmlError("the document is no well-formed XML") from error
    if root.getroottree().docinfo.doctype:
        raise XmlError("the document declares a type")
    return root


def text_of(element: Element) -> str:
    """All the text within an element, without XML's white space around it.

    Other spaces stay: two identifiers that differ by one must not become the same.
    """
    return "".join(element.itertext()).strip(" \t\r\n")


def serialized(element: Element) -> str:
    """An element as a document of its own."""
    from lxml import etree

    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    return text
