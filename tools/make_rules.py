"""Write the alert rules of exporters/prometheus/rules/ from tools/rules/: `python tools/make_rules.py`.

The sources are the rule files with macros in `<<…>>`, because neither YAML nor Prometheus' templates can share a part of a text.
`blame.yml` has none and stands where it is used. A macro alone in its line expands to lines of the same indentation.

- `<<gone>>`: recording rule of the agents that are gone, in the group of the alerts that use it: groups are evaluated at different
  times, so that of another group may not know yet what has just ended the series of a host.
- `<<health CHECK OP LEVEL>>`: the subjects of a check at a level, with `<<held job instance check subject>>`.
- `<<fault CHECK LEVEL>>`: its open log faults at a level, else its verdict; held as well.
- `<<held LABEL…>>`: `or` what fires already and has these labels, while the agent cannot be scraped and until its verdicts are back.
- `<<who>>`, `<<who host>>`: the scraped instance, or the probed host, and where known its instance id and zone in parentheses.
- `<<since health>>`: since when the subject has been at its level; `<<since LABEL…>>`: since when the alert with these labels is true.
- `<<since of EXPRESSION>>`: a time that the expression returns; `%LABEL` is replaced by the selector of this label.
- `<<utc>>`: filter that formats a timestamp.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "tools/rules"
FOLDER = ROOT / "exporters/prometheus/rules"
NOTICE = "# Made by tools/make_rules.py from tools/rules/{}: edit that file.\n"

_MACRO = re.compile(r"<<((?:(?!>>).)+)>>")
_GROUP = re.compile(r"^ +- name: (\S+)$")
_ALERT = re.compile(r"^ +- alert: (\w+)$")
_GONE = """\
# {{job, instance}}: 1 for an agent that cannot be scraped, left service discovery within 15 minutes, or is back for less than 2 minutes.
- record: vitald:agent_gone:info
  expr: |
    group by (job, instance) (min_over_time(up{{job=~"vitald.*"}}[2m]) == 0)
    or
    group by (job, instance) (
      (up{{job=~"vitald.*"}} offset 5m or up{{job=~"vitald.*"}} offset 10m or up{{job=~"vitald.*"}} offset 15m)
      unless on (job, instance) up{{job=~"vitald.*"}}
    )
  labels:
    group: {group}
"""
_UTC = r'| humanizeTimestamp | reReplaceAll "(\\.[0-9]+)? \\+0000" ""'
_HEALTH = ("job", "instance", "check", "subject")
_IDENTITY = (
    "{{{{ $id := $labels.instance_id }}}}{{{{ $zone := $labels.zone }}}}"
    '{{{{ range printf "last_over_time(vitald_host_info{{{selector}}}[1d])" {values} | query }}}}'
    '{{{{ with label "instance_id" . }}}}{{{{ $id = . }}}}{{{{ end }}}}'
    '{{{{ with label "availability_zone" . }}}}{{{{ $zone = . }}}}{{{{ end }}}}'
    "{{{{ end }}}}{{{{ {shown} }}}}"
    "{{{{ if or $id $zone }}}} ({{{{ $id }}}}{{{{ if and $id $zone }}}}, {{{{ end }}}}{{{{ $zone }}}}){{{{ end }}}}"
)


def texts() -> dict[Path, str]:
    """Return the content of each generated file, by its path."""
    return {FOLDER / source.name: NOTICE.format(source.name) + expand(source.read_text()) for source in sorted(SOURCES.glob("*.yml"))}


def expand(source: str) -> str:
    """Replace the macros of a rule file."""
    group, alert, lines = "", "", []
    for line in source.splitlines():
        if found := _GROUP.match(line):
            group = found.group(1)
        if found := _ALERT.match(line):
            alert = found.group(1)
        whole = _MACRO.fullmatch(line.strip())
        if whole is not None:
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + each for each in _expression(whole.group(1).split(), group, alert)]
        else:
            parts = _MACRO.split(line)  # text and macros in turn
            lines.append("".join(_annotation(part, alert) if index % 2 else part for index, part in enumerate(parts)))
    return "\n".join(lines) + "\n"


def _expression(words: list[str], group: str, alert: str) -> list[str]:
    """Expand a macro of an expression, or of a rule, to its lines."""
    match words:
        case ["gone"]:
            return _GONE.format(group=group).splitlines()
        case ["health", check, *comparison]:
            return [f'vitald_health{{check="{check}"}} {" ".join(comparison)}', *_held(_HEALTH, group, alert, check)]
        case ["fault", check, level]:
            return [
                f'vitald_log_fault_level{{check="{check}"}} == {level}',
                f'or on (job, instance, check) vitald_health{{check="{check}"}} == {level}',
                *_held(_HEALTH[:3], group, alert, check),
            ]
        case ["held", *labels]:
            return _held(tuple(labels), group, alert)
    msg = f"unknown macro <<{' '.join(words)}>>"
    raise ValueError(msg)


def _held(labels: tuple[str, ...], group: str, alert: str, check: str = "") -> list[str]:
    returned = ", ".join(label for label in labels if label in _HEALTH)
    if "check" in labels:
        verdicts = (
            f'vitald_health{{check="{check}"}}' if check else 'vitald_health{check="tcp_probe"}' if "network" in group else "vitald_health"
        )
    else:
        verdicts = "vitald_build_info"
    return [
        f"or on ({', '.join(labels)})",
        "(",
        f'  sum without (alertstate) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
        f'  and on (job, instance) vitald:agent_gone:info{{group="{group}"}}',
        f"  unless on ({returned}) {verdicts}",  # of the same scrape as what ended: no recorded series, which may be an evaluation late
        ")",
    ]


def _annotation(macro: str, alert: str) -> str:
    """Expand a macro within a text."""
    words = macro.split()
    match words:
        case ["utc"]:
            return _UTC
        case ["who"]:
            return _IDENTITY.format(selector="job=%q,instance=%q", values="$labels.job $labels.instance", shown="$labels.instance")
        case ["who", "host"]:
            host = '(printf "%s:[0-9]+" (reReplaceAll "[][]" "." $labels.host))'
            return _IDENTITY.format(selector="job=%q,instance=~%q", values=f"$labels.job {host}", shown="$labels.host")
        case ["since", "health"]:
            of = f"last_over_time(vitald_health_since_timestamp_seconds{{{','.join(f'%{name}' for name in _HEALTH)}}}[1d])"
            return _since(of, alert, _HEALTH)
        case ["since", "of", *_]:
            of = macro.removeprefix("since of ")
            return _since(of, alert, tuple(dict.fromkeys(re.findall(r"%(\w+)", of))))
        case ["since", *labels]:
            return _since("", alert, tuple(labels))
    msg = f"unknown macro <<{macro}>>"
    raise ValueError(msg)


def _since(expression: str, alert: str, labels: tuple[str, ...]) -> str:
    """Return a template of the time of an expression; without a series of it that since when the alert has been true; else of now."""
    state = f'ALERTS_FOR_STATE{{alertname="{alert}"{"".join(f",%{name}" for name in labels)}}}'
    query = " or on () ".join(filter(None, (expression and f"min({expression})", f"min({state})", "vector(time())"))).replace('"', r"\"")
    values = " ".join(f"$labels.{name}" for name in re.findall(r"%(\w+)", query))
    form = re.sub(r"%(\w+)", r"\1=%q", query)
    return f'{{{{ range printf "{form}" {values} | query }}}}{{{{ . | value {_UTC} }}}}{{{{ end }}}}'


def main() -> None:
    """Write the files."""
    for path, text in texts().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
