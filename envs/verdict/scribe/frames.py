"""Ways to say one thing that differ in construction, written as one: `positive for nitrites` and `shows nitrites`,
`a 5-day course of` and `for 5 days`, `painless` and `without pain`. Both sentences of a comparison go through here."""

from __future__ import annotations

import re

_FINDING = r"seen|noted|found|present|heard|palpated|palpable|detected|identified|observed|appreciated|visible|evident"
_KIN = (
    r"mother|father|parents?|wife|husband|son|daughter|brother|sister|aunt|uncle|cousin|grand\w+|friend|roommate|"
    r"neighbou?r|partner|girlfriend|boyfriend|spouse|caregiver|teacher|coworker|colleague"
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_FRAMES: tuple[tuple[str, str], ...] = (
    # counts and rates
    *((rf"\b(?:the )?{word} (day|week|month|year)\b", rf"\1 {at}") for at, word in enumerate(_ORDINALS, 1)),
    (r"\b(?:every|each) (?=\d)", "periodically "),
    (r"\b(?:fell|dropped|went down) (?=(?:from|to|by) \d)", "decreased "),
    (r"\b(?:rose|climbed|went up) (?=(?:from|to|by) \d)", "increased "),
    (r"\b(?<!at )once (?=(?:a|per|each|every|daily|weekly)\b)", "1 times "),
    (r"\btwice\b", "2 times"),
    (r"\bthrice\b", "3 times"),
    (r"\b1 time\b", "1 times"),
    (r" ?(?:(?:times|beats|breaths) (?:per|a|each) minute|/ ?minute|/ ?min|\bbpm|\bper minute|"
     r"\ba minute)(?!\w)", "/min"),
    (r"(?<=\d) percent\b", "%"),
    (r"\ba (?=pack\b|(?:day|week|month|year|hour|minute) ago)|\bfor (?:a|an) (?=day|week|month|year|hour)", "1 "),
    (r"(?<=\d )(?:episodes|bouts|attacks|occasions)(?: of)?\b", "times"),
    (r"\bno 1\b|\bnobody\b", "no"),
    (r"\bat (?:the )?age (?:of )?(?=\d)|\bwhen (?:he|she) was (?=\d+\b(?! \w))", "aged "),
    (r"\b(\d+)-pack-year (?:smoking history|history of smoking)", r"smoked \1 pack-years"),
    (r"\b(?:a |an )?(\d+)[- ](day|week|month|hour|minute|year)s? (?:course|history|period|trial) of (.*?)(?=[,.;]|$)",
     r"\3 for \1 \2s"),
    (r"\b(?:gained (\d+(?:\.\d+)?) (kg|lbs?|pounds)|(?:a )?weight gain of (\d+(?:\.\d+)?) (kg|lbs?|pounds))",
     r"weight increased \1\3 \2\4"),
    (r"\b(?:lost (\d+(?:\.\d+)?) (kg|lbs?|pounds)(?: of weight)?|(?:a )?weight loss of (\d+(?:\.\d+)?) (kg|lbs?|"
     r"pounds))",
     r"weight decreased \1\3 \2\4"),
    (r"\b(?:a )?(\d+(?:\.\d+)?)[- ](kg|lbs?|pounds?) weight loss", r"weight decreased \1 \2"),
    (r"\b(?:a )?(\d+(?:\.\d+)?)[- ](kg|lbs?|pounds?) weight gain", r"weight increased \1 \2"),
    # tests and what they show
    (r"\b(?:is|are|was|were|were found to be|tests?|tested) positive for\b|\b(?:is|are|was|were) (?:notable|remarkable|"
     r"significant) for\b", "shows"),
    (r"\b(?:came|comes|come|returned|returns) back (?=negative|positive|normal|abnormal)|"
     r"\breturn(?:ed|s) (?=negative|positive|normal|abnormal)", "is "),
    (r"\b(?:his |her |the )?vital signs (?:include|are|show|reveal|showed|were) (?=.*\d)", ""),
    (r"\b(?:is|are|was|were) (?:performed|done|obtained|carried out) and (?=show|reveal|demonstrat|confirm|is |"
     r"was )", ""),
    (r"\btender(?:ness)? (?:to|on|with|upon) palpation\b|\bpalpation\b(.{0,40}?)\b(?:elicits|causes|produces|reveals|"
     r"shows) "
     r"tenderness", r"\1 tender"),
    (r"\b(?:ct|computed tomography) scans?\b", "computed tomography"),
    (r"\b(?:plain|radiographs? of the|x-rays? of the) (?=chest|abdomen|hand|wrist|knee|hip|foot|spine|pelvis|"
     r"skull)", "x-ray "),
    # negations by an adjective
    (r"\bpainless\b|\b(?:does|do|did) not hurt\b|\bpain-free\b", "no pain"),
    (r"\bnon-?productive\b", "dry"),
    (rf"\bcannot be (?={_FINDING})", "is not "),
    (r"\bdisoriented\b", "not oriented"),
    (r"\basymptomatic\b|\bsymptom-free\b", "no symptoms"),
    (r"\bafebrile\b", "no fever"),
    (r"\b(?:uncomplicated|uneventful|without (?:any )?complications?)\b", "no complications"),
    (r"\bodou?rless\b", "no odor"),
    (r"\b(?:spares|sparing|spared)\b", "does not affect"),
    (r"\bfree of\b|\bfails? to\b|\bfailed to\b", "no"),
    (r"\bunable to\b|\b(?:not|never) (?:been )?able to\b|\binability to\b|\bcould not\b|\bcan not\b|"
     r"\bcan't\b", "cannot"),
    # persons who tell
    (rf"\baccording to (his |her |their |the |the (?:child|boy|girl|"
     rf"patient)'s )?((?:\w+ )?(?:{_KIN}))\b,?", r"teller-\2 "),
    (rf"\b(?:as )?(?:per|reported by|stated by) (his |her |the )((?:\w+ )?(?:{_KIN}))\b,?", r"teller-\2 "),
    (rf"\b(?:his|her|their|the|the (?:child|boy|girl|patient)'s) ((?:\w+ )?(?:{_KIN})) (?:also )?(?:(?:report|state|"
     rf"say|note|"
     r"mention|describe|add|notice)(?:s|d|ed)?|said|ha(?:s|ve) noticed|tells? the (?:physician|"
     r"doctor))(?: that)?\b", r"teller-\1 "),
    # persons who have it
    (rf"\bfamily history (?:is (?:significant|notable|remarkable|positive) for|includes|of|"
     rf"shows)\b(?=.*\b(?:{_KIN})\b)", ""),
    (r"\b(?:works|worked|is employed|was employed|has worked) as\b", "is"),
    # status
    (r"\b(pain|symptoms?|cough|dyspnea|itching|headaches?|swelling) (?:(?:is |has |have )?increas(?:es|ed|"
     r"ing))\b", r"\1 worse"),
    (r"(?<!is )(?<!are )(?<!was )(?<!were )\bused to\b", "formerly"),
    (r"\b(?:will be|is to be|are to be|is going to be|the plan is to|is to)\b", "planned"),
    (r"\b(?:the )?(?:treatment|therapy|management) with\b|\b(?:a )?course of\b|\b(?:an? )?(?:infusion|"
     r"administration) of\b", ""),
    (r"\b(?:thought|believed|felt|considered|presumed) to (?:have|be)\b|\b(?:there is (?:a )?)?suspicion (?:of|for)\b|"
     r"\bpresumed\b|\bpresumptive\b|\b(?:is|are|was) suspicious for\b", "suspected"),
    (r"\bnever (?:had|been|undergone|experienced|taken|received)\b", "no"),
    (r"\bno (?:known |prior |previous |past |significant )?(?:personal )?history of\b|\bno (?:prior|previous|"
     r"past)\b", "no"),
    (r"\bpost-?operative day\b", "day after operation"),
    (r"\bpost-?operative(?:ly)?\b", "after operation"),
    (r"\bpre-?operative(?:ly)?\b", "before operation"),
    (r"\bprior to\b|\bin advance of\b", "before"),
    (r"\bprior\b", "previous"),
    (r"\b(?:counsell?ed|encouraged|urged|instructed) to\b", "advised to"),
    (r"\b(?:the )?decision (?:is|was) made to\b|\b(?:it|he|she) (?:is|was|has) decided to\b", "decided to"),
    # words that only carry another
    (r"\bbased on\b|\bon the basis of\b", ""),
    (r"\b(?:a )?(?:known|established) (?:case of|diagnosis of)\b|\ba case of\b|\b(?:results?|findings) of (?:a |an |"
     r"the )?", ""),
    (r"\bfrom (?:his |her )?sleep\b", ""),
    (r"\b(?:in|on) both sides\b|\bboth sides of\b", "bilaterally"),
    (r"\bbibasilar\b|\bbibasal\b", "both bases"),
    (rf"\b(?:can|could|may) be (?=felt|{_FINDING})", "is "),
    (r"\bradiation of\b", "radiates"),
)  # fmt: skip
FRAMES = tuple((re.compile(pattern), replacement) for pattern, replacement in _FRAMES)


def framed(text: str) -> str:
    """A canonical text (see `gate.canonical`) with every construction written in one way."""
    for pattern, replacement in FRAMES:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())
