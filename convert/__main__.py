"""python -m convert: the command line. What touches a model is done in a process of its own.

Exit 0 done; 2 the input is wrong (one line on standard error); 3 no candidate is inside the budget
(with the table). Progress goes to standard error as well. `diff OLD NEW` compares two reports.
"""

import argparse
import errno
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from convert import card, fetch, isolation, metric, output
from convert import fields as field
from convert.budget import AS_FAST, Budget, Prefer
from convert.errors import BudgetError, ConvertError, InputError, OptionError, OutputError
from convert.fingerprint import fingerprint
from convert.measure import measure
from convert.recipe import AUTO, Scheme

_TIME_LIMIT_S = 1800.0
_NO_WAY_IN = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
_DIFF = "diff"
_Value = TypeVar("_Value")


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print its usage and exit: a fault is one line here."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message} (see {self.prog} --help)")


def main(
    arguments: Sequence[str] | None = None, *, isolated: bool = False, scratch: Path | None = None
) -> int:
    """Runs the command line.

    Args:
        arguments: Of the command line; None: this process's own.
        isolated: Whether to work in a child, under limits; see `convert.isolation`.
        scratch: In that child: where to work, and to leave the results.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = argparse.Namespace(out=None)
    try:
        if given and given[0] == _DIFF:
            _compare(given[1:])
            return 0
        options = _parser().parse_args(given)
        if options.fingerprint:
            print(fingerprint())
        elif options.digest:
            _check(options)
            _print_digests(options)
        elif isolated:
            return _isolate(given, options)
        else:
            _run(options, scratch)
    except ConvertError as error:
        if isinstance(error, BudgetError):
            _say(error.table)
        # A path may hold a line break, and so may a library's message.
        _say(f"convert: {' '.join(str(error).split())}")
        return error.exit_code
    except OSError as error:
        if error.errno in _NO_WAY_IN and error.filename is not None:
            # Whichever path was looked at first: the user named it.
            _say(f"convert: {error.filename}: {error.strerror}: expected a path that can be read")
            return InputError.exit_code
        if error.errno not in output.NO_ROOM:
            raise
        # Anything may be the one that fills the disk; it is not a bug of this package.
        _say(
            f"convert: {error.strerror or error} while working in --out {options.out}: "
            "make room there, or give another folder"
        )
        return OutputError.exit_code
    return 0


def _compare(arguments: Sequence[str]) -> None:
    from convert import diff

    parser = _Parser(
        prog=f"python -m convert {_DIFF}", description="Says what changed between two reports."
    )
    parser.add_argument("old", type=Path, help="a report.json, or the folder that holds one")
    parser.add_argument("new", type=Path, help="another")
    parser.add_argument("--markdown", action="store_true", help="as tables, for a comment")
    options = parser.parse_args(arguments)
    old, new = diff.read(options.old), diff.read(options.new)
    print(diff.render(old, new, markdown=options.markdown), end="")


def _isolate(arguments: Sequence[str], options: argparse.Namespace) -> int:
    _check(options)
    for url, place in _fetched(options).items():
        arguments = [*arguments, "--fetched", url, str(place)]
    limits = isolation.Limits(memory_gib=options.memory_limit, time_s=options.time_limit)
    if options.check:
        with tempfile.TemporaryDirectory(prefix="convert-") as folder:
            return isolation.convert(arguments, Path(folder), limits)
    with output.workspace(options.out) as scratch:
        code = isolation.convert(arguments, scratch, limits)
        if code == 0:
            output.publish(scratch, options.out)
    return code


def _check(options: argparse.Namespace) -> None:
    if options.model is None:
        raise OptionError("which model? Give a model file, a model.yaml or its folder")
    if options.out is None and not (options.check or options.digest):
        raise OptionError("where to? Give --out FOLDER")


def _fetched(options: argparse.Namespace) -> dict[str, Path]:
    """Returns where all S3 addresses of a request lie on this machine, fetching what is not."""
    known = {url: Path(place) for url, place in options.fetched}
    urls = [value for key, value in vars(options).items() if key in fetch.CARD_KEYS and value]
    found = card.find(Path(options.model))
    urls = [url for url in urls if url.startswith(fetch.SCHEME)]
    if found is not None:
        urls += fetch.named_in(found)
    return known | fetch.fetch_all(url for url in urls if url not in known)


def _print_digests(options: argparse.Namespace) -> None:
    """Prints the sha256 of every file and folder that a card names, S3's fetched first."""
    fetched = _fetched(options)
    about = card.read(card.find(Path(options.model)) or Path(options.model), fetched)
    places = {key: getattr(about, key) for key in fetch.CARD_KEYS}
    print(
        json.dumps(
            {
                key: None if place is None or not place.exists() else measure(place)[1]
                for key, place in places.items()
            }
        )
    )


def _run(options: argparse.Namespace, scratch: Path | None) -> None:
    _check(options)
    # Imported late: --fingerprint is called at every preview and needs no numpy.
    from convert import request

    fetched = _fetched(options)

    def at(place: str | None) -> Path | None:
        return None if place is None else card.located(place, fetched, Path())

    asked = request.build(
        card.located(options.model, fetched, Path()),
        request.Options(
            recipe=options.recipe,
            signature=options.signature,
            calibration=at(options.calibration),
            evaluation=at(options.evaluation),
            training=at(options.training),
            metric=options.metric,
            lower_is_better=options.lower_is_better,
            budget=Budget(
                max_accuracy_drop=options.max_accuracy_drop,
                min_agreement=options.min_agreement,
                max_size=options.max_size,
                max_latency_ms=options.max_latency_ms,
            ),
            prefer=options.prefer,
        ),
        fetched,
    )
    if options.check and options.quick:
        return
    from convert import pipeline

    if options.check:
        with tempfile.TemporaryDirectory(prefix="convert-", dir=scratch) as folder:
            pipeline.check(asked, Path(folder), _say)
        return
    if scratch is not None:
        output.write(pipeline.convert(asked, scratch, _say), scratch)
        return
    with output.workspace(options.out) as own:
        output.write(pipeline.convert(asked, own, _say), own)
        output.publish(own, options.out)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m convert",
        description="Makes a trained model small.",
        epilog=f"python -m convert {_DIFF} OLD NEW compares two reports.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="a .keras, .h5 or .tflite file, a SavedModel folder (on this machine or as "
        "s3://BUCKET/KEY), a model.yaml or its folder",
    )
    parser.add_argument(
        "--recipe",
        default=AUTO,
        help=f"{AUTO} (default: try all), {', '.join(Scheme)}; then +mixed, after an integer one, "
        "and +pruneNN, where wanted",
    )
    parser.add_argument(
        "--signature", metavar="NAME", help="which of the model's signatures to serve"
    )
    parser.add_argument(
        "--calibration",
        metavar="DATA",
        help=".npz, .csv or a folder of pictures: example inputs, for the static_ recipes",
    )
    parser.add_argument(
        "--evaluation", metavar="DATA", help=".npz or .csv: held-out inputs and `y`"
    )
    parser.add_argument(
        "--training",
        metavar="DATA",
        help=".npz or .csv: inputs and `y` to fine-tune a pruned model on",
    )
    parser.add_argument("--metric", metavar="NAME", help=metric.RULE.partition(" or {")[0])
    parser.add_argument(
        "--lower-is-better",
        action="store_true",
        help="less of the metric is better; only for a --metric that is a function of your own",
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=_of(field.not_negative, "a number from 0 to 1"),
        metavar="SHARE",
        help=f"budget: {metric.DROP}",
    )
    parser.add_argument(
        "--min-agreement",
        type=_of(field.share, "a number from 0 to 1"),
        metavar="SHARE",
        help="budget: the share of answers that must be the original's",
    )
    parser.add_argument(
        "--max-size",
        type=_of(field.size, field.SIZE_RULE),
        metavar="SIZE",
        help='budget: of the file, uncompressed, such as "2 MB"',
    )
    parser.add_argument(
        "--max-latency-ms",
        type=_of(field.positive, "a number of milliseconds above 0"),
        metavar="MS",
        help="budget: median of one call on one thread of this machine",
    )
    parser.add_argument(
        "--prefer",
        type=_of(field.member(Prefer), " or ".join(Prefer)),
        metavar="WHAT",
        # argparse takes a lone % for a format.
        help="size or latency: of the candidates inside the budget, the smallest once compressed "
        f"(default), or the fastest (of those at most {AS_FAST:.0%}% slower the smallest)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the results go")
    parser.add_argument(
        "--memory-limit",
        type=_of(field.positive, "a number of GiB above 0"),
        metavar="GIB",
        default=isolation.default_memory_gib(),
        help="end the conversion above this (default: %(default)s, 3/4 of this machine's memory)",
    )
    parser.add_argument(
        "--time-limit",
        type=_of(field.positive, "a number of seconds above 0"),
        metavar="SECONDS",
        default=_TIME_LIMIT_S,
        help="end the conversion after this (default: %(default)s)",
    )
    parser.add_argument(
        "--check", action="store_true", help="load the model, check all data, write nothing"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="with --check: read the files, but do not load the model",
    )
    parser.add_argument(
        "--digest", action="store_true", help="print the sha256 of the files a card names and exit"
    )
    # For the child, which cannot ask S3: where each address lies.
    parser.add_argument("--fetched", nargs=2, action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument(
        "--fingerprint", action="store_true", help="print a hash of this converter and exit"
    )
    return parser


def _of(parse: Callable[[Any], _Value | None], expected: str) -> Callable[[str], _Value]:
    """Makes an option's type of a card's parser."""

    def take(text: str) -> _Value:
        try:
            parsed = parse(float(text))
        except ValueError:  # no number; a size may be a text
            parsed = parse(text)
        if parsed is None:
            raise argparse.ArgumentTypeError(f"{text}: expected {expected}")
        return parsed

    return take


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(isolated=True))
