"""Hostile chat templates: each ends, soon, with a typed error."""

from __future__ import annotations

import time

import pytest

from plugmux.errors import InvalidRequestError
from plugmux_hf_inference._budget import Budget, LimitExceededError, Limits
from plugmux_hf_inference._templates import TemplateLimitError, TemplateRenderError, render

HELLO = [{"role": "user", "content": "Hello"}]
LIMITS = Limits(seconds=0.3)
SECONDS = 5.0  # of CPU, for one refusal: unlimited, each would take minutes or never end
R = "range(100000)"
LONG = "{% set s = 'x' * 3000000 %}"
ITEMS = "{% set l = range(100000)|list %}"
DAG = "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
TUPLES = DAG.replace("['a']", "('a',)").replace("[ns.x, ns.x]", "(ns.x, ns.x)")
TWINS = (
    "{% set ns = namespace(x=['a'], y=['a']) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}"
)
DEEP = "{% set ns = namespace(x=()) %}{% for i in range(90000) %}{% set ns.x = (ns.x,) %}{% endfor %}"

HOSTILE = {
    "nested loops": f"{{% for a in {R} %}}{{% for b in {R} %}}{{% for c in {R} %}}{{% endfor %}}"
    "{% endfor %}{% endfor %}",
    "nested loops that do something": f"{{% for a in {R} %}}{{% for b in {R} %}}{{% set x = a + b %}}"
    "{% endfor %}{% endfor %}",
    "a loop whose condition is never met": f"{{% for a in {R} %}}{{% for b in {R} if b is string %}}"
    "{% endfor %}{% endfor %}",
    "a costly loop condition": "{% set a = 1 %}{% for i in range(100000) if ["
    + "a, " * 9000
    + "] is string %}{% endfor %}",
    "a long line of plain names in a loop": "{% set a = 1 %}{% for i in range(100000) %}"
    f"{{% set x = [{'a, ' * 9000}] %}}{{% endfor %}}",
    "many elif in nested loops": f"{{% for a in {R} %}}{{% for b in {R} %}}{{% if 0 %}}"
    + "{% elif not true and true %}" * 40
    + "{% endif %}{% endfor %}{% endfor %}",
    "recursion of a macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "branching recursion of macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(60) }}",
    "two macros in a circle": "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}"
    "{{ a() }}",
    "a block that calls itself": "{% block b %}{{ self.b() }}{% endblock %}",
    "a recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "a branching recursive loop": "{% for x in [1, 2] recursive %}{% if loop.depth < 70 %}{{ loop([1, 2]) }}"
    "{% endif %}{% endfor %}",
    "a caller in a circle": "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}"
    "{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}",
    "string multiplication": "{{ 'a' * 1000000000 }}",
    "string multiplication from the right": "{{ 1000000000 * 'a' }}",
    "string doubling": "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}"
    "{% endfor %}",
    "doubling by tilde": "{% set ns = namespace(s='ab') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "list multiplication": "{% set l = [0] * 1000000000 %}",
    "list doubling": "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}"
    "{% endfor %}",
    "tuple multiplication": "{% set l = (0, 1) * 1000000000 %}",
    "a big power": "{{ 10 ** 10 ** 9 }}",
    "a tower of powers": "{{ 9 ** 9 ** 9 ** 9 }}",
    "a power by squaring": "{% set ns = namespace(n=3) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}"
    "{% endfor %}{{ ns.n }}",
    "a wide percent format": "{{ '%1000000000d' % 1 }}",
    "a percent format with a star": "{{ '%*d' % (1000000000, 1) }}",
    "a percent format with precision": "{{ '%.1000000000f' % 1.5 }}",
    "the format filter": "{{ '%01000000000d'|format(1) }}",
    "a percent format of many": LONG + "{{ ('%(a)s' * 100000) % {'a': s} }}",
    "a wide str.format": "{{ '{:1000000000}'.format('a') }}",
    "a nested width of str.format": "{{ '{:{w}}'.format('a', w=1000000000) }}",
    "str.format of many": LONG + "{{ ('{0}' * 100000).format(s) }}",
    "format_map": "{{ '{a:1000000000}'.format_map({'a': 'b'}) }}",
    "center": "{{ 'a'|center(1000000000) }}",
    "center, as a method": "{{ 'a'.center(1000000000) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "zfill": "{{ '1'.zfill(1000000000) }}",
    "expandtabs": "{{ '\t'.expandtabs(1000000000) }}",
    "to_bytes": "{{ (1).to_bytes(1000000000, 'big') }}",
    "translate": "{{ ('a' * 1000000).translate({97: 'b' * 1000000}) }}",
    "replace, as a filter": LONG + "{{ s|replace('x', s) }}",
    "replace, as a method": LONG + "{{ s.replace('', s) }}",
    "join, as a filter": ITEMS + LONG + "{{ l|join(s) }}",
    "join, as a method": ITEMS + LONG + "{{ s.join(l|map('string')) }}",
    "indent": "{{ ('\n' * 100000)|indent(1000000, blank=true) }}",
    "indent with text": LONG + "{{ ('\n' * 100000)|indent(s, blank=true) }}",
    "tojson with a wide indent": "{{ [1, 2]|tojson(indent=1000000000) }}",
    "tojson with long separators": LONG + "{{ range(100000)|list|tojson(separators=(s, s)) }}",
    "batch": "{{ [1]|batch(1000000000, 'x')|list }}",
    "slice": "{{ [1]|slice(1000000000)|list }}",
    "round": "{{ 1.5|round(1000000000, 'ceil') }}",
    "sum of lists": ITEMS + "{{ l|map('string')|map('list')|sum(start=[]) }}",
    "one string, endlessly": LONG + f"{{% for i in {R} %}}{{{{ s }}}}{{% endfor %}}",
    "endless output into a variable": LONG
    + f"{{% set t %}}{{% for i in {R} %}}{{{{ s }}}}{{% endfor %}}{{% endset %}}",
    "endless constant output": f"{{% for i in {R} %}}{'A' * 50000}{{% endfor %}}",
    "endless constant output in a macro": f"{{% macro m() %}}{{% for i in {R} %}}{'A' * 50000}{{% endfor %}}"
    "{% endmacro %}{% set x = m() %}",
    "rfind": "{% set s = 'a' * 2000000 %}{{ s.rfind('b' + 'a' * 1000000) }}",
    "rsplit": "{% set s = 'a' * 2000000 %}{{ s.rsplit('b' + 'a' * 1000000) }}",
    "strip of many characters": "{% set s = 'a' * 2000000 %}{{ s.strip(('b' * 1000000) + 'a') }}",
    "trim of many characters": "{% set s = 'a' * 2000000 %}{{ s|trim(('b' * 1000000) + 'a') }}",
    "split into millions": LONG + "{{ s.split('x')|length }}",
    "split at millions of spaces": "{{ ('a ' * 1500000).split()|length }}",
    "lines in millions": "{{ ('\n' * 3000000).splitlines()|length }}",
    "a sort by thousands of attributes": "{{ range(100000)|sort(attribute='a,' * 1000000) }}",
    "a map by thousands of attributes": "{{ range(100000)|map(attribute='real.' * 100000)|list }}",
    "sum of small lists": "{{ ([[1]] * 90000)|sum(start=[])|length }}",
    "striptags": "{{ ('<!-- -->' * 300000)|striptags }}",
    "wordwrap": LONG + "{{ ('a ' * 1000000)|wordwrap(1, wrapstring=s) }}",
    "urlize": "{{ ('http://a.b ' * 200000)|urlize }}",
    "pprint": ITEMS + "{{ l|pprint }}",
    "a list in itself, printed": DAG + "{{ ns.x }}",
    "a list in itself, as JSON": DAG + "{{ ns.x|tojson }}",
    "a list in itself, as string": DAG + "{{ (ns.x|string)|length }}",
    "a list in itself, joined": DAG + "{{ ns.x ~ '' }}",
    "a list in itself, percent": DAG + "{{ '%s' % [ns.x] }}",
    "a list in itself, sorted": DAG + "{{ [ns.x, ns.x]|sort }}",
    "a list in itself, raised": DAG + "{{ raise_exception(ns.x) }}",
    "two endless twins, compared": TWINS + "{{ ns.x == ns.y }}",
    "two endless twins, sought": TWINS + "{{ ns.x in [ns.y] }}",
    "two endless twins, by index": TWINS + "{{ [ns.x].index(ns.y) }}",
    "two endless twins, changed": TWINS + "{% for i in [1, 2] %}{{ loop.changed(ns.x if i == 1 else ns.y) }}"
    "{% endfor %}",
    "a tuple in itself, as a key": TUPLES + "{% set d = {ns.x: 1} %}",
    "a tuple in itself, looked up": TUPLES + "{{ {}[ns.x] }}",
    "a tuple in itself, unique": TUPLES + "{{ [ns.x]|unique|list }}",
    "a tuple in itself, by dict": TUPLES + "{{ dict([(ns.x, 1)]) }}",
    "a deep tuple, as a key": DEEP + "{% set d = {ns.x: 1} %}",
    "a deep tuple, looked up": DEEP + "{{ {}.get(ns.x) }}",
    "a deep tuple, printed": DEEP + "{{ ns.x }}",
    "numbers that fall together": "{{ range(0, 230584300921369395100000, 2305843009213693951)|unique|list }}",
    "numbers that fall together, drained by C": "{{ dict.fromkeys(range(0, 230584300921369395100000, "
    "2305843009213693951))|length }}",
    "a chain of slices": LONG + "{% set t = " + " ~ ".join(["s[1:]"] * 2000) + " %}",
    "a row of slices": LONG + "{% set t = s[1:] %}" * 5000,
    "a row of comparisons": LONG + "{% set t = s[1:] == s[2:] %}" * 3000,
    "a generator drained by C": "{{ range(100000)|map('center', 1000)|map('upper')|join|length }}",
    "escaping": LONG.replace("x", "&") + f"{{% for i in {R} %}}{{% set t = s|escape %}}{{% endfor %}}",
    "a date format": "{{ strftime_now('%Y' * 1000000) }}",
    "a template too long to read": "x" * 200_000,
}

REFUSED = {
    "a class": ("{{ ''.__class__ }}", "SecurityError"),
    "a class by subscript": ("{{ ''['__class__'] }}", "SecurityError"),
    "a class by filter": ("{{ ''|attr('__class__') }}", "SecurityError"),
    "a class by map": ("{{ ['']|map(attribute='__class__')|first }}", "SecurityError"),
    "a class by str.format": ("{{ '{0.__class__}'.format('') }}", "SecurityError"),
    "the globals of a function": ("{{ raise_exception.__globals__ }}", "SecurityError"),
    "the code of a macro": ("{% macro m() %}{% endmacro %}{{ m._func.__code__ }}", "SecurityError"),
    "the environment": ("{{ self._TemplateReference__context.environment }}", "SecurityError"),
    "a private name in a namespace": ("{% set n = namespace(_a=1) %}", "SecurityError"),
    "a private name set in a namespace": ("{% set n = namespace() %}{% set n._a = 1 %}", "SecurityError"),
    "a class by a bound method": ("{{ 'a'.upper.__self__.__class__ }}", "SecurityError"),
    "a change of the messages": ("{{ messages.append(1) }}", "SecurityError"),
    "another template": ("{% include 'x' %}", "TypeError"),
    "its own error": ("{{ raise_exception('no system role') }}", "TemplateError"),
    "a wrong type": ("{{ 'a' + 1 }}", "TypeError"),
    "a division by zero": ("{{ 1 // 0 }}", "ZeroDivisionError"),
    "an unknown filter": ("{% if messages %}{{ 'a'|from_json }}{% endif %}", "TemplateRuntimeError"),
    "no template at all": ("{% for %}", "TemplateSyntaxError"),
    "a range too long": ("{{ range(1000000000)|list }}", "OverflowError"),
    "a range too long, in a loop": ("{% for i in range(10 ** 9) %}{% endfor %}", "OverflowError"),
    "a lorem ipsum": ("{{ lipsum(n=100000000) }}", "UndefinedError"),
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_template_ends_soon_with_a_limit(template: str) -> None:
    began = time.thread_time()
    with pytest.raises(TemplateLimitError):
        render(template, HELLO, limits=LIMITS)
    assert time.thread_time() - began < SECONDS


def test_without_settings_a_template_may_run_for_about_a_second() -> None:
    began = time.thread_time()
    with pytest.raises(TemplateLimitError, match="it would run for more than 1"):
        render(HOSTILE["nested loops"], HELLO)
    assert 0.5 < time.thread_time() - began < SECONDS


@pytest.mark.parametrize(("template", "kind"), REFUSED.values(), ids=REFUSED)
def test_a_template_that_reaches_out_or_fails_is_a_typed_error(template: str, kind: str) -> None:
    with pytest.raises(TemplateRenderError) as raised:
        render(template, HELLO)
    assert raised.value.kind == kind


def test_a_refusal_says_what_was_refused_and_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequestError, match="a value of 1,000,000,000 characters"):
        render("{{ 'a' * 1000000000 }}", HELLO)


def test_a_long_error_text_is_cut() -> None:
    with pytest.raises(TemplateRenderError) as raised:
        render("{{ raise_exception('x' * 1000000) }}", HELLO)
    assert len(str(raised.value)) < 11_000


def test_the_time_limit_is_one_of_the_thread_itself() -> None:
    ticks = iter([0.0, 0.5, 2.0])
    budget = Budget(Limits(seconds=1.0), clock=lambda: next(ticks))
    budget.spend(600_000)
    with pytest.raises(LimitExceededError, match="more than 1 s"):
        budget.spend(600_000)


def test_the_limits_are_settable() -> None:
    loop = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
    began = time.thread_time()
    with pytest.raises(TemplateLimitError, match=r"more than 0\.05 s"):
        render(loop, HELLO, limits=Limits(seconds=0.05, per_message=0))
    assert time.thread_time() - began < SECONDS


def test_a_long_conversation_is_no_hostile_one() -> None:
    messages = [{"role": "user", "content": "a word and " * 500}] * 1000
    chatml = "{% for m in messages %}{{ '<' + m.role + '>' + m.content|trim + '\n' }}{% endfor %}"
    assert len(render(chatml, messages)) > 5_000_000


def test_a_long_conversation_may_be_copied_at_each_message() -> None:
    messages = [{"role": "user", "content": "a word and " * 50}] * 1000
    copying = (
        "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t + m.content %}{% endfor %}"
    )
    assert len(render(copying + "{{ ns.t }}", messages)) == 550_000


def test_a_refused_template_leaves_the_next_rendering_alone() -> None:
    with pytest.raises(TemplateLimitError):
        render("{{ 'a' * 1000000000 }}", HELLO)
    assert render("{{ messages[0].content }}", HELLO) == "Hello"
