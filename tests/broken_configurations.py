"""Configurations that are refused, and what must be said of each; test_broken_configurations reads the table.

The environment holds SECRET and an empty EMPTY; beside the configuration lie the secret files good.key, empty.key,
two_lines.key, bytes.key and the pipe pipe.key.
"""

from typing import NamedTuple


class Broken(NamedTuple):
    """A configuration and what must be said of it: `line:column`, key path, and a part of the message."""

    text: str
    position: str
    key: str
    message: str


def target(platform: str, *lines: str) -> str:
    """A configuration with one target; the first of `lines` begins at 5:5."""
    start = ("targets:", "  - name: one", f"    platform: {platform}", "    url: https://one.example.org")
    return "\n".join([*start, *(f"    {line}" for line in lines), ""])


def url(address: str) -> str:
    """A configuration with one target, whose url stands at 4:5."""
    return f"targets:\n  - name: one\n    platform: pybossa\n    url: {address}\n"


def named(name: str) -> str:
    """A configuration with one target, whose name stands at 2:5."""
    return f"targets:\n  - name: {name}\n    platform: pybossa\n    url: https://one.example.org\n"


def merge_bomb() -> str:
    """Nine merges of ten mappings each, one within the other."""
    levels = [f"k{n}: &k{n} {{<<: [{', '.join([f'*k{n - 1}'] * 10)}]}}" for n in range(1, 10)]
    return "\n".join(["k0: &k0 {a: 1}", *levels]) + "\n"


def alias_bomb() -> str:
    """A short text that unfolds to ten million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7)]
    return "\n".join(lines)


V1 = ("api_version: v1", "company_id: c", "api_key: ${SECRET}")
V2 = ("client_id: c", "client_secret: ${SECRET}")

SYNTAX = {
    "empty file": Broken("", "1:1", "", "must be a mapping with the key 'targets'"),
    "only a comment": Broken("# nothing\n", "1:1", "", "must be a mapping with the key 'targets'"),
    "a list at the top": Broken("- name: one\n", "1:1", "", "must be a mapping with the key 'targets'"),
    "a tab as indentation": Broken("targets:\n\t- name: one\n", "2:1", "", "not valid YAML"),
    "an open quote": Broken("targets:\n  - name: 'one\n", "3:1", "", "not valid YAML"),
    "an open bracket": Broken("targets: [\n", "2:1", "", "not valid YAML"),
    "two documents": Broken("targets: []\n---\ntargets: []\n", "2:1", "", "not valid YAML"),
    "a control character": Broken("targets: \x07\n", "1:1", "", "not valid YAML"),
    "an undefined alias": Broken("targets: *nowhere\n", "1:10", "", "undefined alias"),
    "an alias of itself": Broken("targets: &t\n  - *t\n", "1:10", "", "an alias contains itself"),
    "an alias bomb": Broken(alias_bomb(), "1:37", "", "far too many values"),
    "nesting without end": Broken("[" * 5_000 + "]" * 5_000, "1:1", "", "nested too deeply"),
    "a merge of a text": Broken("targets:\n  - <<: text\n", "2:9", "targets[0]", "<< takes a mapping"),
    "a merge of itself": Broken("targets:\n  - &a {<<: *a}\n", "2:5", "", "an alias contains itself"),
    "a merge bomb": Broken(merge_bomb(), "1:5", "", "far too many values"),
    "a duplicate key": Broken(
        target("pybossa", "url: https://two.example.org"), "5:5", "targets[0].url", "stands twice (first on line 4)"
    ),
    "a duplicate key at the top": Broken("targets: []\ntargets: []\n", "2:1", "targets", "stands twice"),
    "a number as key": Broken("7: x\n" + target("pybossa"), "1:1", "", "a key must be text"),
    "a list as key": Broken("? [a]\n: x\n" + target("pybossa"), "1:3", "", "a key must be text"),
    "an unset variable": Broken(
        target("viktor", "token: ${NOWHERE}"), "5:12", "targets[0].token", "the environment variable NOWHERE is not set"
    ),
    "a variable set to nothing": Broken(
        target("viktor", "token: ${EMPTY}"), "5:12", "targets[0].token", "the environment variable EMPTY is not set"
    ),
    "a lone dollar": Broken(target("viktor", "token: a$b"), "5:12", "targets[0].token", "write $$ for a dollar sign"),
    "an unfinished variable": Broken(target("viktor", "token: ${SECRET"), "5:12", "targets[0].token", "write $$"),
    "a number to base 8": Broken(
        target("pybossa", "max_series: 010"), "5:17", "targets[0].max_series", "YAML reads this number to base 8 or 60"
    ),
    "a name that is a number to base 8": Broken(
        "targets:\n  - name: 010\n", "2:11", "targets[0].name", "YAML reads this number to base 8 or 60"
    ),
    "a number to base 60": Broken(
        target("pybossa", "interval: 1:30"), "5:15", "targets[0].interval", "YAML reads this number to base 8 or 60"
    ),
    "a date": Broken(target("viktor", "token: 2026-11-20"), "5:12", "targets[0].token", "a date"),
    "a date that does not exist": Broken(
        target("viktor", "token: 2026-99-99"), "5:12", "targets[0].token", "not a value that YAML understands"
    ),
}

SHAPE = {
    "no targets": Broken("defaults: {interval: 1h}\n", "1:1", "targets", "must be a list of at least one target"),
    "an empty list of targets": Broken("targets: []\n", "1:1", "targets", "must be a list of at least one target"),
    "targets by name": Broken("targets: {one: {}}\n", "1:1", "targets", "must be a list of at least one target"),
    "a target that is a text": Broken("targets:\n  - one\n", "2:5", "targets[0]", "must be a mapping"),
    "an unknown key at the top": Broken(
        "defautls: {}\n" + target("pybossa"), "1:1", "defautls", "unknown key; did you mean defaults?"
    ),
    "an unknown key in defaults": Broken(
        "defaults: {intervall: 1h}\n" + target("pybossa"), "1:12", "defaults.intervall", "did you mean interval?"
    ),
    "an unknown key in a target": Broken(
        target("pybossa", "api_kei: x"), "5:5", "targets[0].api_kei", "did you mean api_key?"
    ),
    "a key of another platform": Broken(
        target("pybossa", "org_domain: x"), "5:5", "targets[0].org_domain", "unknown key; known keys are name, platform"
    ),
    "an unknown collector": Broken(
        target("pybossa", "collectors: {stat: on}"), "5:18", "targets[0].collectors.stat", "did you mean stats?"
    ),
    "an unknown key in a collector": Broken(
        target("pybossa", "collectors: {stats: {interwal: 1h}}"),
        "5:26",
        "targets[0].collectors.stats.interwal",
        "did you mean interval?",
    ),
    "an unknown key below a collector": Broken(
        target("learning360", *V2, "collectors: {attempts: {courses: {tops: 5}}}"),
        "7:39",
        "targets[0].collectors.attempts.courses.tops",
        "did you mean top?",
    ),
    "defaults that are a list": Broken(
        "defaults: [1h]\n" + target("pybossa"), "1:1", "defaults", "must be a mapping of keys to values"
    ),
    "collectors that are a list": Broken(
        target("pybossa", "collectors: [stats]"), "5:5", "targets[0].collectors", "must be a mapping of keys to values"
    ),
    "a collector that is a text": Broken(
        target("pybossa", "collectors: {stats: 15m}"), "5:18", "targets[0].collectors.stats", "must be a mapping"
    ),
    "a collector without a value": Broken(
        target("pybossa", "collectors: {stats: }"),
        "5:18",
        "targets[0].collectors.stats",
        "write on, off, or a mapping such as {interval: 1h}",
    ),
    "no name": Broken(
        "targets:\n  - platform: pybossa\n    url: https://one.example.org\n", "2:5", "targets[0].name", "is missing"
    ),
    "a number as name": Broken(named("7"), "2:5", "targets[0].name", "must be text; put it in quotes"),
    "a name with a space": Broken(named("my server"), "2:5", "targets[0].name", "letters, digits, '-', '_' and '.'"),
    "an empty name": Broken(named("''"), "2:5", "targets[0].name", "may hold 1 to 100 letters"),
    "two targets of one name": Broken(
        named("one") + "  - {name: one, platform: pybossa, url: https://two.example.org}\n",
        "5:6",
        "targets[1].name",
        "one is also the name of the target on line 2",
    ),
    "no platform": Broken("targets:\n  - name: one\n", "2:5", "targets[0].platform", "is missing; add it; there are"),
    "an unknown platform": Broken(
        target("pibossa"), "3:5", "targets[0].platform", "no such platform; did you mean pybossa?; there are"
    ),
    "a platform that is a list": Broken(target("[pybossa]"), "3:5", "targets[0].platform", "no such platform"),
    "no url": Broken("targets:\n  - {name: one, platform: pybossa}\n", "2:5", "targets[0].url", "is missing"),
}

VALUES = {
    "an address without scheme": Broken(url("one.example.org"), "4:5", "targets[0].url", "write the full address"),
    "an address of another scheme": Broken(url("ftp://one"), "4:5", "targets[0].url", "write the full address"),
    "http to another host": Broken(
        url("http://one.example.org"), "4:5", "targets[0].url", "use https://, or set allow_http: true"
    ),
    "http to a host that only looks local": Broken(
        url("http://127.0.0.1.example.org"), "4:5", "targets[0].url", "the credential would travel in clear text"
    ),
    "a password in the address": Broken(
        url("https://me:${SECRET}@one.example.org"), "4:5", "targets[0].url", "must not contain a user name or password"
    ),
    "a key in the address": Broken(
        url("https://one.example.org?api_key=${SECRET}"), "4:5", "targets[0].url", "must not contain ? or #"
    ),
    "a port out of range": Broken(
        url("https://one.example.org:70000"), "4:5", "targets[0].url", "write the full address"
    ),
    "a password where a port belongs": Broken(
        url("https://me:${SECRET}/@one.example.org"), "4:5", "targets[0].url", "write the full address"
    ),
    "a password in characters that are no address": Broken(
        url("https://me:${SECRET}\u2100@one.example.org"), "4:5", "targets[0].url", "write the full address"
    ),
    **{
        what: Broken(url(f"'{address}'"), "4:5", "targets[0].url", "write the full address")
        for what, address in {
            "an address of no IPv4 network": "https://999.1.1.1",
            "an address of a future IP": "https://[v1.abc]",
            "an IPv4 address in brackets": "https://[127.0.0.1]",
            "a host that is too long": f"https://{'.'.join(['a' * 60] * 5)}",
            "a label that is too long": f"https://{'a' * 64}.example",
            "an empty label": "https://academy..example",
            "a name that IDNA does not know": "https://xn--a.example",
            "a percent sign in the host": "https://a%20b.example",
            "port 0": "https://one.example.org:0",
        }.items()
    },
    "an address that is too long": Broken(
        url(f"https://one.example.org/{'a' * 5000}"), "4:5", "targets[0].url", "at most 4,096 characters"
    ),
    "a line break in the address": Broken(
        url('"https://one.example.org/a\\nb"'), "4:5", "targets[0].url", "do not belong"
    ),
    "a proxy with a space": Broken(
        target("pybossa", "proxy: http://proxy .example:3128"), "5:5", "targets[0].proxy", "do not belong"
    ),
    "a proxy with a space in its password": Broken(
        target("pybossa", "proxy: 'http://me:a ${SECRET}@proxy:3128'"), "5:5", "targets[0].proxy", "do not belong"
    ),
    "a proxy that cannot be looked up": Broken(
        target("pybossa", "proxy: http://999.1.1.1:3128"), "5:5", "targets[0].proxy", "write the full address"
    ),
    "a space in the address": Broken(url("'https://one example.org'"), "4:5", "targets[0].url", "do not belong"),
    "a duration without unit": Broken(
        target("pybossa", "interval: 15"), "5:5", "targets[0].interval", "write a duration with its unit, such as 30s"
    ),
    "a duration of another language": Broken(
        "defaults: {timeout: PT5M}\n" + target("pybossa"), "1:12", "defaults.timeout", "write a duration with its unit"
    ),
    "a duration of nothing": Broken(
        target("pybossa", "collectors: {stats: {interval: 0s}}"),
        "5:26",
        "targets[0].collectors.stats.interval",
        "must lie between 1s and 1y",
    ),
    "an age below two intervals": Broken(
        target("pybossa", "max_age: 20m"), "5:5", "targets[0].max_age", "20m is less than two intervals of"
    ),
    "a default age below two intervals": Broken(
        "defaults: {interval: 1h, max_age: 1h}\n" + target("pybossa"),
        "3:5",
        "targets[0].max_age",
        "1h is less than two intervals of",
    ),
    "a series limit of zero": Broken(
        target("pybossa", "max_series: 0"), "5:5", "targets[0].max_series", "should be greater than or equal to 1"
    ),
    "a series limit in words": Broken(
        target("pybossa", "max_series: many"), "5:5", "targets[0].max_series", "must be a whole number"
    ),
    "half a connection": Broken(
        target("pybossa", "concurrency: 1.5"), "5:5", "targets[0].concurrency", "must be a whole number"
    ),
    "no requests at all": Broken(
        target("pybossa", "requests_per_second: 0"), "5:5", "targets[0].requests_per_second", "greater than 0"
    ),
    "a permission in words": Broken(
        target("pybossa", "allow_http: perhaps"), "5:5", "targets[0].allow_http", "must be true or false"
    ),
    "a proxy without scheme": Broken(
        target("pybossa", "proxy: me:${SECRET}@proxy:3128"),
        "5:5",
        "targets[0].proxy",
        "write the full address, such as http://proxy",
    ),
    "a missing certificate authority": Broken(
        target("pybossa", "ca_file: nowhere.pem"), "5:5", "targets[0].ca_file", "cannot be read as PEM"
    ),
    "a certificate without its key": Broken(
        target("pybossa", "client_cert_file: a.pem"), "5:5", "targets[0].client_cert_file", "go together; give both"
    ),
}

CREDENTIALS = {
    "no key": Broken(target("konstantly"), "2:5", "targets[0].api_key", "api_key is missing; give api_key_file"),
    "no token": Broken(target("viktor"), "2:5", "targets[0].token", "token is missing; give token_file"),
    "key and file": Broken(
        target("konstantly", "api_key: ${SECRET}", "api_key_file: good.key"),
        "6:5",
        "targets[0].api_key_file",
        "give either api_key or api_key_file, not both",
    ),
    "a missing file": Broken(
        target("konstantly", "api_key_file: nowhere.key"), "5:5", "targets[0].api_key_file", "No such file or directory"
    ),
    "a pipe as file": Broken(
        target("konstantly", "api_key_file: pipe.key"), "5:5", "targets[0].api_key_file", "is a pipe or a device"
    ),
    "a pipe as certificate": Broken(
        target("pybossa", "ca_file: pipe.key"), "5:5", "targets[0].ca_file", "cannot be read as PEM"
    ),
    "a folder as file": Broken(
        target("konstantly", "api_key_file: ."), "5:5", "targets[0].api_key_file", "Is a directory"
    ),
    "an empty file": Broken(
        target("konstantly", "api_key_file: empty.key"), "5:5", "targets[0].api_key_file", "is empty or not one line"
    ),
    "a file of two lines": Broken(
        target("konstantly", "api_key_file: two_lines.key"),
        "5:5",
        "targets[0].api_key_file",
        "is empty or not one line",
    ),
    "a file of bytes": Broken(
        target("konstantly", "api_key_file: bytes.key"), "5:5", "targets[0].api_key_file", "is empty or not one line"
    ),
    "an empty key": Broken(target("konstantly", "api_key: ''"), "5:5", "targets[0].api_key", "is empty"),
    "a key with a line break": Broken(
        target("konstantly", 'api_key: "${SECRET}\\nX-Other: 1"'), "5:5", "targets[0].api_key", "not one line"
    ),
    "a credential that is a number": Broken(
        target("konstantly", "api_key: 1234"), "5:5", "targets[0].api_key", "must be text; put it in quotes"
    ),
    "queues without a key": Broken(
        target("pybossa", "collectors: {queues: on}"),
        "5:18",
        "targets[0].collectors.queues",
        "needs an administrator's key",
    ),
    "audit events without types": Broken(
        target("viktor", "token: ${SECRET}", "collectors: {audit_events: on}"),
        "6:18",
        "targets[0].collectors.audit_events",
        "has nothing to count; add event_types",
    ),
    "an unknown workspace type": Broken(
        target("viktor", "token: ${SECRET}", "collectors: {workspaces: {types: [SECRET]}}"),
        "6:39",
        "targets[0].collectors.workspaces.types[0]",
        "should be 'PROJECT', 'DEVELOPMENT', 'PUBLIC' or 'TEST'",
    ),
    "v2 without client": Broken(target("learning360"), "2:5", "targets[0].client_id", "client_id is missing"),
    "v2 with a key of v1": Broken(
        target("learning360", *V2, "company_id: c"), "7:5", "targets[0].company_id", "belongs to API v1; remove it"
    ),
    "v1 with a key of v2": Broken(
        target("learning360", *V1, "client_id: c"), "8:5", "targets[0].client_id", "belongs to API v2; remove it"
    ),
    "v1 without company": Broken(
        target("learning360", "api_version: v1", "api_key: ${SECRET}"),
        "2:5",
        "targets[0].company_id",
        "company_id is missing",
    ),
    "a list that v1 lacks": Broken(
        target("learning360", *V1, "collectors: {skills: on}"),
        "8:18",
        "targets[0].collectors.skills",
        "API v1 has no such list",
    ),
    "another version": Broken(
        target("learning360", *V2, "api_version: v3"), "7:5", "targets[0].api_version", "should be 'v1' or 'v2'"
    ),
    "top and ids": Broken(
        target("learning360", *V2, "collectors: {attempts: {courses: {top: 5, ids: [a]}}}"),
        "7:29",
        "targets[0].collectors.attempts.courses",
        "give either top or ids, not both",
    ),
}

BROKEN = {**SYNTAX, **SHAPE, **VALUES, **CREDENTIALS}
