"""Which Namespaces cannot be written alone, since the public DNS has a domain of that name."""

from __future__ import annotations

from typing import Final

_GENERIC: Final = frozenset(
    b"""
    academy agency ai apartments app archi army art audio auto bank beauty best bet bid bike bio
    biz blog boo boutique box build builders business cab cafe cam camera camp capital car cards
    care career cars casa cash casino center channel charity chat church city claims cleaning click
    clinic clothing cloud club coach codes coffee college com community company computer
    construction consulting contact cool country credit dad data date dating day deal deals
    delivery democrat dental design dev diamonds diet digital direct directory discount doctor dog
    download drive earth eco edu education email energy engineer engineering enterprises equipment
    estate events exchange expert express fail faith family fan farm fashion finance financial fish
    fit fitness flights florist fly foo food football forsale forum foundation free fun fund
    furniture fyi gallery game games garden gift gifts gives giving glass global gmbh gold golf
    google gov graphics green group guide guitars guru hair haus health healthcare help here
    hockey holdings holiday horse hospital host hosting hot hotel house how inc industries info
    ing ink institute insurance insure int international investments jobs kim kitchen land law
    lawyer lease legal life lighting limited link live llc loan loans locker love ltd management
    map market marketing markets mba media meet meme memorial men menu mil mobi moda mom money
    monster mortgage mov movie museum music name navy net network new news ngo ninja now observer
    office one ong onl online open org page parking partners parts party pay pet phd phone photo
    photography photos pics pictures pink pizza place play plumbing plus poker post press prime pro
    prod productions prof promo properties property protection pub quest racing radio read realty
    recipes red rehab rent rentals repair report republican rest restaurant review reviews rip
    room run safe sale save school science search secure security select services sex shoes shop
    shopping show site skin soccer social software solar solutions space sport spot storage store
    stream studio study style supply support surf surgery systems tax taxi team tech technology
    tel tennis theater tickets tips tires today tools top tours town toys trade trading training
    travel university vacations ventures vet video villas vip vision voice vote watch weather
    webcam website wedding wiki win wine work works world wow wtf xyz yoga you zip zone arpa
    """.split()
)
"""Generic ones that somebody may think of for a Namespace."""


def is_top_level(label: bytes) -> bool:
    """Whether a name of two labels that ends in `label` (in lower case) means the public DNS.

    All domains of two letters are those of countries (RFC 1591 §2) or kept for them. Of the generic
    ones those are listed that look like the name of a Namespace; who names one like another still
    has `x.ns.local`.
    """
    return len(label) == 2 or label in _GENERIC
