//! Templates that mean harm end with an error that says how.

use std::time::Duration;

use gradloom_text::{ChatMessage, ChatTemplate, Error, Result};

fn render(source: &str) -> Result<String> {
    ChatTemplate::new(source)?.render(&[ChatMessage::new("user", "hello")], true)
}

fn refused(source: &str) -> Error {
    render(source).expect_err(source)
}

#[test]
fn endless_work_runs_out_of_steps() {
    let error = refused(
        "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}\
         {% set x = a * b %}{% endfor %}{% endfor %}{% endfor %}",
    );
    assert!(error.is_template_limit(), "{error}");
    assert!(error.to_string().contains("steps"), "{error}");
}

#[test]
fn endless_recursion_is_stopped() {
    let error = refused("{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}");
    assert!(error.is_template_limit(), "{error}");
    assert!(error.to_string().contains("deeper"), "{error}");
}

#[test]
fn output_is_bounded() {
    let error = refused("{% set x = 'x' * 10000000 %}{% for i in range(100) %}{{ x }}{% endfor %}");
    assert!(error.is_template_limit(), "{error}");
    assert!(error.to_string().contains("bytes"), "{error}");
}

#[test]
fn huge_values_are_refused() {
    for source in ["{{ 'x' * 1000000000000 }}", "{{ range(1000000000000)|list|length }}"] {
        let error = refused(source);
        assert!(error.is_template(), "{error}");
    }
}

#[test]
fn deep_values_do_not_overflow_the_stack() {
    let nested =
        "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% endfor %}";
    assert_eq!(render(nested).unwrap(), "");
    for print in ["{{ n.x }}", "{{ n.x|tojson }}", "{{ n.x|string }}"] {
        let error = refused(&format!("{nested}{print}"));
        assert!(error.to_string().contains("nested deeper"), "{error}");
    }
}

#[test]
fn deep_source_is_refused() {
    for (open, close) in [("(", ")"), ("[", "]"), ("{'a':", "}"), ("", "()"), ("", ".a")] {
        let source = format!("{{{{ {}1{} }}}}", open.repeat(20_000), close.repeat(20_000));
        let error = refused(&source);
        assert!(error.is_template() || error.is_template_limit(), "{error}");
    }
    for (open, close) in [("-", ""), ("not ", ""), ("1**", ""), ("", "~1"), ("", "|list|string")] {
        let count = 128_000 / (open.len() + close.len());
        let _ = render(&format!("{{{{ {}1{} }}}}", open.repeat(count), close.repeat(count)));
    }
    let source = "{% if true %}".repeat(5_000) + &"{% endif %}".repeat(5_000);
    let error = refused(&source);
    assert!(error.is_template_limit(), "{error}");
    let error = refused(&"x".repeat(2 << 20));
    assert!(error.is_too_large(), "{error}");
}

#[test]
fn no_file_or_time_is_reached() {
    for source in ["{% include '/etc/passwd' %}", "{% import 'x' as y %}", "{% extends 'x' %}"] {
        assert!(refused(source).is_template());
    }
    let template = ChatTemplate::new("{{ strftime_now('%d %b %Y, %j %A %-I %p') }}").unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_709_210_096);
    let text = template.with_time(Some(time)).render::<[ChatMessage]>(&[], false).unwrap();
    assert_eq!(text, "29 Feb 2024, 060 Thursday 12 PM");
}

#[test]
fn refusal_and_faults_are_told_apart() {
    let error = refused("a\n{{ raise_exception('roles must alternate') }}");
    assert!(error.is_raised_by_template());
    assert_eq!(
        error.to_string(),
        "chat template: line 2: refused the messages: roles must alternate"
    );
    let error = refused("{% if %}");
    assert!(error.is_template(), "{error}");
    let error = refused("{{ missing.field }}");
    assert!(error.is_template(), "{error}");
}

/// Bits of the template flip; whatever comes of it is a result.
#[test]
fn mutations_never_panic() {
    let source = "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}{{ 'a' + \
                  m.content.split('x')[-1]|trim }}{% endif %}{{ m|tojson(indent=2) }}{% endfor %}";
    let mut state = 7u64;
    for _ in 0..2_000 {
        let mut bytes = source.as_bytes().to_vec();
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = (state >> 33) as usize % bytes.len();
            bytes[place] = (state >> 24) as u8;
        }
        bytes.truncate(source.len() - (state >> 60) as usize);
        let _ = render(&String::from_utf8_lossy(&bytes));
    }
}
