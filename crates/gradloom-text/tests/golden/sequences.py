"""Makes sequences.json: what Jinja writes of slices, lengths and loops, with the environment of transformers.

    python sequences.py

Needs the package jinja2. Each row is a template and its text, null where it is refused.
"""

import itertools
import json
import pathlib

from jinja2.sandbox import ImmutableSandboxedEnvironment

OTHERS = r"""
{{ [][::-1] }}
{{ ()[::-1] }}
{{ (1, 2)[::-1] }}
{{ messages[::-1][0].role }}
{{ messages[1:] }}
{{ messages[-3:][0].content[1:3] }}
{{ messages[::-1] | map(attribute='role') | join }}
{{ missing|length }}
{{ missing|count }}
{{ missing|list }}
{{ missing.more|length }}
{{ none|length }}
{{ none|list }}
{{ 5|length }}
{{ 'abc'|list }}
{{ {'a': 1}|list }}
{{ {'a': 1}|length }}
{{ tools is none }}
{{ tools is defined }}
{{ documents is not none }}
{% if not tools %}n{% endif %}
{% if tools is not none and tools|length > 0 %}n{% endif %}
{% for t in tools %}x{% endfor %}
{% for t in missing %}x{% endfor %}
{% for t in none if t %}x{% endfor %}
{% for t in messages if t.role in ['user'] %}{{ t.content }}{% else %}x{% endfor %}
{% for t in (messages if tools else [1]) %}{{ t }}{% endfor %}
{%- for t in [1, 2] -%} {{ t }} {%- endfor -%}
{% for a, b in [(1, 2), (3, 4)] if a > 1 %}{{ a }}{{ b }}{% endfor %}
{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}{% endif %}{% endfor %}
{% for x in 1, 2 %}{{ x }}{% endfor %}
{% for x in 1, %}{{ x }}{% endfor %}
{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}
{% for m in messages[::-1] %}{{ loop.index }}{{ loop.last }}{% endfor %}
{{ missing[1:] }}
{{ none[1:] }}
{{ {'a': 1}[1:] }}
{{ 5[1:] }}
{{ [1, 2, 3][[0, 1][1]:] }}
{% set x = [1, 2, 3][:2] %}{{ x + [9] }}
{{ ('a' if true else 'b')[0:] }}
{% raw %}{{ a[1:2] }}{% for x in y %}{% endraw %}
{# a[1:2] #}z
{{ "]:["[1:] }}
{% if [1, 2][:1] == [1] %}y{% endif %}
{{ [1, 2, 3][1:]|length }}
{{ [3, 1, 2][::-1]|join('-') }}
{{ [1, 2, 3][none:2] }}
{{ [1, 2, 3][1.5:2] }}
{{ [1, 2, 3]['a':] }}
{{ 'abc'[::-1].upper() }}
{{ range(5)[1:3]|list }}
{{ {'a': [1, 2]}['a'][1:] }}
"""

environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
variables = {
    "messages": [{"role": "user", "content": "hello"}],
    "add_generation_prompt": True,
    "tools": None,
    "documents": None,
}


def row(template):
    try:
        return [template, environment.from_string(template).render(**variables)]
    except Exception:
        return [template, None]


starts = ["", "0", "1", "3", "-1", "-2", "-9"]
stops = ["", "0", "2", "9", "-1", "-9"]
steps = ["", "2", "9", "-1", "-2", "0"]
templates = []
for count, start, stop, step in itertools.product([0, 1, 3], starts, stops, steps):
    for value in [str(list(range(count))), repr("äbc"[:count])]:
        templates.append("{{ %s[%s:%s:%s] }}" % (value, start, stop, step))
templates += OTHERS.strip().split("\n")
rows = ",\n".join(json.dumps(row(template), ensure_ascii=False) for template in templates)
pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{rows}\n]\n")
