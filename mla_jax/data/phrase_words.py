"""Words that tell the chunker where English phrases begin: closed classes and common verbs."""

import enum


class Kind(enum.Enum):
  """What a word does in its phrase, as far as cutting needs to know."""

  DETERMINER = "determiner"  # Also numbers and possessives.
  ADJECTIVE = "adjective"
  NOUN = "noun"  # And everything unknown.
  PRONOUN = "pronoun"
  VERB = "verb"
  AUXILIARY = "auxiliary"
  ADVERB = "adverb"
  PREPOSITION = "preposition"
  PARTICLE = "particle"  # "up" in "picks up a ball": stays with the verb before it.
  OF = "of"  # The preposition that keeps a noun phrase going.
  TO = "to"
  COORDINATOR = "coordinator"  # "and", "or".
  OPENER = "opener"  # Begins a clause: "while", "who".
  QUESTION = "question"  # "what", "how" at the beginning.


def _words(text: str) -> frozenset[str]:
  return frozenset(text.split())


CLOSED: dict[str, Kind] = {
    word: kind
    for kind, words in (
        (Kind.DETERMINER, """
            a an the this these those my your his her its our their some any no every each all both
            another several many few various multiple other more most two three four five six seven
            eight nine ten eleven twelve 2 3 4 5 6 7 8 9 10"""),
        (Kind.ADJECTIVE, """
            red blue green yellow black white brown gray grey pink purple orange golden silver dark
            bright old young new little small tiny big large huge tall short long good bad beautiful
            pretty cute funny nice great happy sad hot cold raw fresh different same first second
            third last next main whole certain own asian african american indian japanese chinese
            male female adult elderly colorful animated wooden famous popular professional very"""),
        (Kind.PRONOUN, """
            i you he she it we they me him us them someone somebody something anyone anybody
            anything everyone everybody everything nobody nothing there himself herself itself
            themselves"""),
        (Kind.AUXILIARY, """
            is are was were be been being am has have had do does did can could will would shall
            should may might must isn't aren't wasn't weren't doesn't don't didn't can't couldn't
            won't it's he's she's that's there's what's who's they're"""),
        (Kind.ADVERB, """
            not also just then again together alone away here too still already almost forth
            apart"""),
        (Kind.PREPOSITION, """
            in on at with by from into onto about near behind beside besides between through
            during across along alongside against for without within inside outside toward
            towards upon above below beneath underneath among amongst like as than via per under
            after before until down over around back"""),
        (Kind.PARTICLE, "up out off"),
        (Kind.OF, "of"),
        (Kind.TO, "to"),
        (Kind.COORDINATOR, "and or nor"),
        (Kind.OPENER, """
            but while when because if so although though since whereas who which that whom whose
            where how why"""),
    )
    for word in words.split()
}

ARTICLES = _words("a an the his her its their my your our")
MODALS = _words("can could will would shall should may might must do does did don't")
QUESTIONS = _words("what who how when where which why whose whom")

# Subjects after which a plain verb may follow: "people dance".
PLURALS = _words(
    "people men women boys girls kids children guys ladies i you we they who that players students")

# Words in -ing, -ed and -ly that look like verbs or adverbs and are not.
NOT_VERBS = _words("""
    building wedding ring king thing string spring ceiling evening morning clothing wing sling swing
    during pudding icing filling frosting seasoning flooring railing earring ping sing bring fling
    sting cling something nothing anything everything interesting amazing exciting boring upcoming
    beginning feeling parking lightning viking darling duckling dumpling stocking sibling
    red bed seed feed weed speed sled shed need indeed hundred seaweed breed bleed moped naked
    unnamed wicked bearded striped haired legged colored coloured animated crowded talented
    fly apply family butterfly belly italy jelly july reply supply assembly ally rally bully hilly
    silly ugly curly lovely lonely friendly elderly chilly wheely daily deadly billy only jolly
    dolly""")

_REGULAR = """
    play talk dance walk ride slice run sit eat sing make cook put show try jump chop pour take
    prepare use drive fry get shoot peel perform stand move fight mix swim look fly fall kid speak
    wear drink give go add stir clean watch explain hit display open climb push laugh apply kiss
    wrestle lift cry exercise race demonstrate place pull work throw describe come kick lick chase
    discuss lie roll carry lay read remove draw fold wash leave flip teach enjoy scratch dive pick
    write feed bark pet bite crawl practice tell attack crash type smile spread sleep hang hug
    feature spin blow catch smoke brush land turn step sprinkle say rub tap start chew tie serve set
    shake float travel bounce knead grate live comb point appear knock touch wake march dress wipe
    scream search fix check sniff tear sharpen ask cover stare begin interview enter dig stick
    squeeze grab close celebrate attempt wrap follow pose win keep narrate melt dribble mow spray
    paddle lead stop drag hunt scoop sail listen pretend deliver host hold cut do compete react
    introduce review present record compare sell buy sew bake boil juggle hop shave relax rest
    """
VERBS = frozenset((*_REGULAR.split(), "see meet help let want like love know call hear stay"))

# Past forms that no ending gives away; also participles after a noun ("a man shown on stage").
PAST = _words("""
    sat ran ate went took made stood held sang won threw gave told wore came fell began worn taken
    shown seen driven given said got drove rode swam flew sung spoke wrote drew blew caught fought
    taught thrown lay slept kept met led spun struck tore hung swung brought built drank fed lit""")


def third_person(verb: str) -> str:
  """"try" -> "tries", "watch" -> "watches", "play" -> "plays"."""
  if verb.endswith("y") and verb[-2] not in "aeiou":
    return f"{verb[:-1]}ies"
  return f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{verb}s"


THIRD_PERSON = frozenset(map(third_person, VERBS))
