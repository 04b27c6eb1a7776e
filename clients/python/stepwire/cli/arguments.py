"""What the command line takes."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version

from stepwire.cli import forecast
from stepwire.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_S
from stepwire.messages import DecodingOptions, LengthNormalization
from stepwire.retry import check_timeout

# The others are spelt as their flags.
_FIELD_OF = {"stop-token-id": "stop_token_ids", "suppress-token": "suppress_tokens"}
_WITH_TEXTS = ("classify", "tag", "translate", "score", "embed", "neighbors", "analogy")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments as attributes; exits with 2 where they make no sense."""
    parser = _parser(os.environ.get("STEPWIRE_ADDRESS") or DEFAULT_TARGET)
    args, rest = parser.parse_known_args(argv)
    if rest and args.command in _WITH_TEXTS:
        rest = _take_texts(rest, args.texts)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.command in _WITH_TEXTS and args.texts and args.file:
        parser.error("give texts or --file, not both")
    if args.command == "forecast" and args.json and args.csv:
        parser.error("give --json or --csv, not both")
    return args


def decoding_options(args: argparse.Namespace) -> DecodingOptions:
    """What the flags say about how tokens are chosen."""
    named = {field.name: getattr(args, field.name) for field in fields(DecodingOptions)}
    if args.length_normalization:
        named["length_normalization"] = LengthNormalization(args.length_normalization)
    return DecodingOptions(**named | {"logit_bias": dict(args.logit_bias)})


def _take_texts(rest: list[str], texts: list[str]) -> list[str]:
    """Moves what are texts to the others; argparse leaves those that stand behind a flag."""
    flags_end = rest.index("--") if "--" in rest else len(rest)
    before, behind = rest[:flags_end], rest[flags_end + 1 :]
    texts += [text for text in before if not text.startswith("-")] + behind
    return [text for text in before if text.startswith("-")]


def _parser(address: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stepwire",
        description="Talk to a stepwire server.",
        epilog="Exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"stepwire {_version()}")
    _add_connection(parser)
    parser.set_defaults(
        address=address,
        timeout_s=DEFAULT_TIMEOUT_S,
        tls=False,
        root_cert=None,
        caller=os.environ.get("STEPWIRE_CALLER", ""),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_models(commands.add_parser("models", help="list, load or unload the models"))
    _add_show(commands.add_parser("show", help="describe one model"))
    _add_generate(commands.add_parser("generate", help="continue prompts"))
    _add_classify(commands.add_parser("classify", help="label texts"))
    _add_tag(commands.add_parser("tag", help="tag the words of texts"))
    _add_translate(commands.add_parser("translate", help="translate texts"))
    _add_score(commands.add_parser("score", help="say how likely texts are"))
    _add_forecast(commands.add_parser("forecast", help="say how a series goes on"))
    _add_embed(commands.add_parser("embed", help="print the vectors of words or texts"))
    _add_neighbors(commands.add_parser("neighbors", help="say which words are nearest"))
    _add_analogy(commands.add_parser("analogy", help="say what king - man + woman is"))
    _add_step(commands.add_parser("step", help="step a session line by line"))
    _add_session(commands.add_parser("session", help="list, copy, export or close sessions"))
    _add_evaluate(commands.add_parser("evaluate", help="score a model as its card does"))
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON, an object a line")
        _add_connection(command)
    return parser


def _add_connection(parser: argparse.ArgumentParser) -> None:
    """Flags that may stand before or behind the command."""
    group = parser.add_argument_group("connection", argument_default=argparse.SUPPRESS)
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help=f"the server; default: $STEPWIRE_ADDRESS, or {DEFAULT_TARGET}",
    )
    group.add_argument(
        "--timeout",
        dest="timeout_s",
        type=_seconds,
        metavar="SECONDS",
        help=f"for each call; 'inf' waits forever; default: {DEFAULT_TIMEOUT_S:g}",
    )
    group.add_argument("--tls", action="store_true", help="speak TLS")
    group.add_argument(
        "--root-cert", metavar="FILE", help="speak TLS and trust what this PEM file signs"
    )
    group.add_argument(
        "--caller",
        metavar="SECRET",
        help="whose sessions and state tokens these are; default: $STEPWIRE_CALLER, or nobody's",
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.description = "List every version of every model, ready or not; load or unload one."
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, text in (
        ("load", "have one loaded, or loaded anew; prints its versions"),
        ("unload", "have one unloaded; who uses it is served to the end"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        action.add_argument("model", metavar="NAME", help="name of its folder in a repository")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        _add_connection(action)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.description = "Describe one model: limits, tensors, quality, licence, origin."
    _add_model(parser)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Continue prompts and print the new text as it comes."
    _add_model(parser)
    parser.add_argument(
        "--prompt",
        dest="prompts",
        action="append",
        metavar="TEXT",
        help="may be given more than once; without it, one prompt a line from standard input",
    )
    parser.add_argument(
        "--n", type=_count, default=1, metavar="N", help="samples of each prompt; default: 1"
    )
    _add_options(parser.add_argument_group("decoding (default: the model's own)"))


def _add_options(group: argparse._ArgumentGroup) -> None:
    """Flags named as the fields of DecodingOptions, from which they are filled."""
    for name, kind, text in (
        ("max-tokens", int, "most tokens to generate"),
        ("min-tokens", int, "no end before this many tokens"),
        ("temperature", float, "in [0, 2]; 0 is greedy"),
        ("top-k", int, "draw from the k likeliest tokens; 0 is all"),
        ("top-p", float, "draw from the fewest tokens that reach this probability"),
        ("min-p", float, "draw from tokens at least this fraction as likely as the likeliest"),
        ("repetition-penalty", float, "on tokens of prompt and output"),
        ("presence-penalty", float, "on every token generated so far"),
        ("frequency-penalty", float, "the same, once for each occurrence"),
        ("no-repeat-ngram-size", int, "no sequence of this many tokens twice"),
        ("seed", int, "the same seed gives the same text"),
        ("logprobs", int, "with --json: log-probabilities of this many likeliest tokens"),
        ("beam-width", int, "hypotheses that a search keeps; 1 is no search"),
        ("num-hypotheses", int, "how many of the best to print"),
        ("length-penalty", float, "divide a score by length to this power"),
        ("coverage-penalty", float, "weight of what was not looked at in the source"),
        ("patience", float, "search until this many beams of hypotheses are complete"),
        ("prefix-bias-beta", float, "make the prefix a wish: its share of the probability"),
        ("resume-every", int, "outlive the server: compute at most this many tokens again"),
    ):
        metavar = "N" if kind is int else "X"
        group.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    group.add_argument(
        "--accept-inexact",
        action="store_true",
        help="with --resume-every: go on where the last bits may differ too",
    )
    for name, repeated, metavar, text in (
        ("logit-bias", _bias, "ID=BIAS", "add to the logit of a token; repeatable"),
        ("stop", str, "TEXT", "end where this text appears; repeatable"),
        ("stop-token-id", int, "ID", "end where this token is chosen; repeatable"),
        ("suppress-token", int, "ID", "never choose this token; repeatable"),
    ):
        group.add_argument(
            f"--{name}",
            dest=_FIELD_OF.get(name),
            type=repeated,
            action="append",
            default=[],
            metavar=metavar,
            help=text,
        )

    group.add_argument(
        "--length-normalization",
        choices=[kind.value for kind in LengthNormalization],
        help="what length means in --length-penalty",
    )


def _add_translate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Translate texts, one a line in their order."
    _add_model(parser)
    _add_texts(parser)
    parser.add_argument("--prefix", metavar="TEXT", help="how every translation must begin")
    parser.add_argument(
        "--replace-unknowns",
        action="store_true",
        help="put the source's own text where the model knows no word",
    )
    parser.add_argument(
        "--alternatives",
        action="store_true",
        help="the likeliest first tokens, each continued, as many as --num-hypotheses",
    )
    parser.add_argument(
        "--attention", metavar="PNG", help="draw where the model looked, for a single text"
    )
    _add_options(parser.add_argument_group("decoding (default: the model's own)"))


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the perplexity of texts, or of translations of sources."
    _add_model(parser)
    _add_texts(parser)
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument("--source", metavar="TEXT", help="what every text translates")
    sources.add_argument(
        "--sources-file", metavar="PATH", help="what the texts translate, one a line"
    )
    parser.add_argument(
        "--words",
        action="store_true",
        help="perplexity of the words between spaces, not of the model's tokens",
    )


def _add_forecast(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    forecast.add_arguments(parser)


def _add_step(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Open a session, take the steps of every line of standard input, and print what the model "
        "says after each line: the likeliest token, the labels, or the predicted values."
    )
    _add_model(parser)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--tokens", action="store_true", help="lines are tokens, not text")
    kinds.add_argument("--features", action="store_true", help="lines are numbers, for one step")
    parser.add_argument(
        "--line-end", default="", metavar="TEXT", help="put this behind every line of text"
    )
    parser.add_argument(
        "--every-step", action="store_true", help="a line for every step, not for every line"
    )
    parser.add_argument("--top-k", type=int, metavar="N", help="the N likeliest tokens or labels")
    parser.add_argument("--entropy", action="store_true", help="how unsure the model is, in nats")
    parser.add_argument(
        "--hidden",
        type=int,
        action="append",
        default=[],
        metavar="UNIT",
        help="a hidden unit; repeatable",
    )
    parser.add_argument("--source", metavar="TEXT", help="what a translator looks at")
    parser.add_argument("--attention", action="store_true", help="where it looked")
    parser.add_argument("--load", metavar="PATH", help="go on from a state token")
    parser.add_argument("--save", metavar="PATH", help="write a state token at the end")
    parser.add_argument(
        "--accept-inexact", action="store_true", help="load a token of other numerics too"
    )


def _add_session(parser: argparse.ArgumentParser) -> None:
    parser.description = "Look after the sessions of --caller."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="list them, oldest first")
    named = [
        actions.add_parser("fork", help="copy one; prints the copy"),
        actions.add_parser("export", help="write the state of one into a file"),
        actions.add_parser("close", help="end one"),
    ]
    for action in named:
        action.add_argument("id", metavar="ID")
    named[1].add_argument("--out", required=True, metavar="PATH", help="the file")
    named[1].add_argument("--half-precision", action="store_true", help="half the size, inexact")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        _add_connection(action)


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="without any, one a line from standard input"
    )
    parser.add_argument("--file", metavar="PATH", help="read one text a line from this file")


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.description = "Label texts, one result a line in their order."
    _add_model(parser)
    _add_texts(parser)
    parser.add_argument("--truncate", action="store_true", help="cut texts over the model's limit")
    parser.add_argument(
        "--attention", action="store_true", help="show which words the model looked at"
    )


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Score a served model on the splits of its card, read from $STEPWIRE_DATA, a line for "
        "each figure; fails where the card is wrong by more than 0.1 points."
    )
    parser.add_argument("model", metavar="MODEL", help="one of the zoo's")
    parser.add_argument(
        "--sample", type=_count, metavar="N", help="examples from all over each; default: all"
    )


def _add_tag(parser: argparse.ArgumentParser) -> None:
    parser.description = "Tag the words of texts, one text a line in their order."
    _add_model(parser)
    _add_texts(parser)
    parser.add_argument(
        "--tokens", action="store_true", help="the texts are words already, with spaces between"
    )
    parser.add_argument(
        "--truncate", action="store_true", help="tag the first words of texts over the limit"
    )


def _add_embed(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the vectors of words, one a line in their order."
    _add_model(parser)
    _add_texts(parser)
    parser.add_argument(
        "--text", action="store_true", help="lines are texts, each the mean of its words"
    )


def _add_neighbors(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the words nearest to each word, and the cosines with them."
    _add_model(parser)
    _add_texts(parser)
    _add_k(parser)


def _add_analogy(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the words that fit an analogy, written like king - man + woman, a question a line."
    )
    _add_model(parser)
    _add_texts(parser)
    _add_k(parser)
    parser.add_argument(
        "--multiply", action="store_true", help="score by 3CosMul instead of 3CosAdd"
    )


def _add_k(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--k", type=_count, metavar="N", help="how many words; default: 10")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name as `stepwire models` lists it")
    parser.add_argument(
        "--model-version", default="", metavar="VERSION", help="default: the latest"
    )


def _seconds(text: str) -> float:
    try:
        return check_timeout(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be seconds above 0, got {text!r}") from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def _bias(text: str) -> tuple[int, float]:
    token_id, _, bias = text.partition("=")
    try:
        return int(token_id), float(bias)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be ID=BIAS, like 17=-2.5, got {text!r}") from None


def _version() -> str:
    try:
        return version("stepwire")
    except PackageNotFoundError:
        return "(not installed)"  # run from a checkout
