"""Everyday facts as question and answer: the general instruction corpus and the general regression suite.

Each topic has `asks`, phrasings that the corpus uses, and one `suite_ask`, a phrasing that only the suite uses:
facts are shared between the two, items never are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One kind of everyday question: `pairs` maps its subject to the word that answers it."""

    name: str
    asks: tuple[str, str, str]
    suite_ask: str
    answer: str
    pairs: dict[str, str]


def _pairs(text: str) -> dict[str, str]:
    """`"a=b, c=d"` as a dictionary."""
    return {a.strip(): b.strip() for a, b in (item.split("=") for item in text.split(","))}


TOPICS: tuple[Topic, ...] = (
    Topic(
        name="opposite",
        asks=("What is the opposite of {a}?", "Give the opposite of {a}.", "Which word is the opposite of {a}?"),
        suite_ask="Tell me the opposite of {a}.",
        answer="The opposite of {a} is {b}.",
        pairs=_pairs(
            "hot=cold, big=small, fast=slow, up=down, light=dark, wet=dry, old=young, hard=soft, full=empty, "
            "rich=poor, early=late, open=closed, loud=quiet, happy=sad, strong=weak, near=far, high=low, "
            "clean=dirty, left=right, thick=thin, sweet=bitter, first=last, day=night, win=lose, push=pull, "
            "true=false, inside=outside, heavy=weightless, sharp=blunt, tall=short"
        ),
    ),
    Topic(
        name="colour",
        asks=("What colour is {a}?", "Which colour does {a} have?", "What is the colour of {a}?"),
        suite_ask="Tell me the colour of {a}.",
        answer="The colour of {a} is {b}.",
        pairs=_pairs(
            "grass=green, snow=white, coal=black, blood=red, a lemon=yellow, the clear sky=blue, "
            "a carrot=orange, milk=white, a banana=yellow, a tomato=red, a leaf=green, chocolate=brown, "
            "an elephant=grey, a plum=purple, soot=black, a flamingo=pink, the sea=blue, butter=yellow, "
            "a strawberry=red, a frog=green, a pumpkin=orange, ash=grey, cotton=white, lavender=purple"
        ),
    ),
    Topic(
        name="capital",
        asks=("What is the capital of {a}?", "Which city is the capital of {a}?", "Give the capital of {a}."),
        suite_ask="Tell me the capital of {a}.",
        answer="The capital of {a} is {b}.",
        pairs=_pairs(
            "France=Paris, Italy=Rome, Spain=Madrid, Japan=Tokyo, Egypt=Cairo, Greece=Athens, Norway=Oslo, "
            "Cuba=Havana, Kenya=Nairobi, Peru=Lima, Austria=Vienna, Portugal=Lisbon, Sweden=Stockholm, "
            "Poland=Warsaw, Ireland=Dublin, China=Beijing, India=Delhi, Canada=Ottawa, Germany=Berlin, "
            "Denmark=Copenhagen, Turkey=Ankara, Chile=Santiago"
        ),
    ),
    Topic(
        name="sound",
        asks=("What sound does {a} make?", "Which sound does {a} make?", "How does {a} sound?"),
        suite_ask="Tell me what sound {a} makes.",
        answer="The sound of {a} is {b}.",
        pairs=_pairs(
            "a dog=bark, a cat=meow, a cow=moo, a duck=quack, a lion=roar, a sheep=baa, a snake=hiss, "
            "a bee=buzz, an owl=hoot, a frog=croak, a pig=oink, a horse=neigh, a wolf=howl, a mouse=squeak, "
            "a bell=ring, a clock=tick"
        ),
    ),
    Topic(
        name="young",
        asks=("What is the young of {a} called?", "What is a young {a} called?", "Give the name of the young of {a}."),
        suite_ask="Tell me how the young of {a} is called.",
        answer="The young of {a} is called a {b}.",
        pairs=_pairs(
            "dog=puppy, cat=kitten, cow=calf, horse=foal, sheep=lamb, goat=kid, pig=piglet, bear=cub, "
            "hen=chick, duck=duckling, goose=gosling, deer=fawn, swan=cygnet, frog=tadpole, owl=owlet, "
            "kangaroo=joey"
        ),
    ),
    Topic(
        name="group",
        asks=("What kind of thing is {a}?", "What is {a}?", "Which kind of thing is {a}?"),
        suite_ask="Tell me what kind of thing {a} is.",
        answer="The kind of {a} is {b}.",
        pairs=_pairs(
            "an apple=fruit, a hammer=tool, a rose=flower, a violin=instrument, a chair=furniture, "
            "a shirt=clothing, a dollar=money, a pear=fruit, a saw=tool, a tulip=flower, a flute=instrument, "
            "a table=furniture, a coat=clothing, a bus=vehicle, a sparrow=bird, a salmon=fish, "
            "a drum=instrument, a truck=vehicle, an eagle=bird, a trout=fish, a grape=fruit, a wrench=tool, "
            "a daisy=flower, a sofa=furniture, a scarf=clothing, a van=vehicle, a robin=bird, a cod=fish, "
            "gold=metal, iron=metal, silver=metal, an oak=tree, a pine=tree"
        ),
    ),
    Topic(
        name="plural",
        asks=("What is the plural of {a}?", "Give the plural of {a}.", "Which word is the plural of {a}?"),
        suite_ask="Tell me the plural of {a}.",
        answer="The plural of {a} is {b}.",
        pairs=_pairs(
            "foot=feet, tooth=teeth, mouse=mice, child=children, man=men, woman=women, goose=geese, "
            "leaf=leaves, knife=knives, wolf=wolves, loaf=loaves, box=boxes, city=cities, baby=babies, "
            "ox=oxen, shelf=shelves"
        ),
    ),
    Topic(
        name="past",
        asks=("What is the past form of {a}?", "Give the past form of {a}.", "Which word is the past form of {a}?"),
        suite_ask="Tell me the past form of {a}.",
        answer="The past form of {a} is {b}.",
        pairs=_pairs(
            "go=went, see=saw, eat=ate, run=ran, take=took, give=gave, come=came, buy=bought, sing=sang, "
            "write=wrote, drink=drank, think=thought, bring=brought, fall=fell, know=knew, begin=began, "
            "swim=swam, break=broke, find=found, sleep=slept"
        ),
    ),
    Topic(
        name="after",
        asks=("What comes after {a}?", "What comes right after {a}?", "Give what comes after {a}."),
        suite_ask="Tell me what comes after {a}.",
        answer="After {a} comes {b}.",
        pairs=_pairs(
            "Monday=Tuesday, Tuesday=Wednesday, Wednesday=Thursday, Thursday=Friday, Friday=Saturday, "
            "Saturday=Sunday, Sunday=Monday, January=February, February=March, March=April, April=May, "
            "May=June, June=July, July=August, August=September, September=October, October=November, "
            "November=December, December=January, one=two, two=three, three=four, four=five, five=six, "
            "six=seven, seven=eight, eight=nine, nine=ten, ten=eleven, eleven=twelve, spring=summer, "
            "summer=autumn"
        ),
    ),
    Topic(
        name="use",
        asks=("What is {a} used for?", "For what is {a} used?", "What do people do with {a}?"),
        suite_ask="Tell me what {a} is used for.",
        answer="The use of {a} is {b}.",
        pairs=_pairs(
            "a pen=writing, a spoon=eating, a cup=drinking, a bed=sleeping, a book=reading, an oven=baking, "
            "a broom=sweeping, a needle=sewing, a towel=drying, a shovel=digging, a brush=painting, "
            "a phone=calling, a lamp=lighting, a boat=sailing, a kettle=boiling, a razor=shaving, "
            "a rake=gardening, a net=fishing, a clock=timing, a camera=filming"
        ),
    ),
)
