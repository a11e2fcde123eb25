//! Chat templates against transformers' Jinja environment; `golden/make.py` wrote what is expected.

mod golden_data;

use golden_data::{asset, load, read_gguf};
use gradloom_text::{ChatMessage, ChatTemplate};
use serde_json::Value;

fn check(template_name: &str, source: &str, golden: &Value) {
    let template = ChatTemplate::new(source)
        .unwrap()
        .with_special_token("bos_token", "<s>")
        .with_special_token("eos_token", "</s>");
    let cases = golden["cases"].as_array().unwrap().iter();
    let mut count = 0;
    for case in cases.filter(|case| case["template"] == template_name) {
        count += 1;
        let mut variables = golden["conversations"][case["conversation"].as_str().unwrap()].clone();
        variables["date_string"] = "29 Feb 2024".into();
        let messages = variables["messages"].take();
        let prompt = case["add_generation_prompt"].as_bool().unwrap();
        let context = format!("{template_name}, {}, {prompt}", case["conversation"]);
        let rendered = template.render_with(&messages, prompt, &variables);
        match case["raised"].as_str() {
            None => {
                let rendered = rendered.unwrap_or_else(|error| panic!("{context}: {error}"));
                let expected = case["text"].as_str().unwrap();
                for (line, (one, other)) in rendered.lines().zip(expected.lines()).enumerate() {
                    assert_eq!(one, other, "{context}: line {line}");
                }
                assert_eq!(rendered, expected, "{context}");
            }
            Some(message) => {
                let error = rendered.expect_err(&context);
                assert!(error.is_raised_by_template(), "{context}: {error}");
                assert!(error.to_string().ends_with(message), "{context}: {error}");
            }
        }
    }
    assert!(count > 0);
}

#[test]
fn templates_write_what_transformers_writes() {
    let golden = load("chat.json");
    for (name, source) in golden["templates"].as_object().unwrap() {
        check(name, source.as_str().unwrap(), &golden);
    }
}

#[test]
fn smollm2_writes_what_transformers_writes() {
    let Some(folder) = asset("smollm2") else { return };
    let file = read_gguf(&folder.join("SmolLM2-135M-Instruct.Q4_1.gguf"));
    check("smollm_2", &file.text("tokenizer.chat_template").unwrap(), &load("chat.json"));
}

#[test]
fn configs_name_templates_and_tokens() {
    let one = br#"{"bos_token": {"content": "<s>"}, "chat_template": "{{ bos_token }}{{ messages|length }}"}"#;
    let template = ChatTemplate::from_config("tokenizer_config.json", one).unwrap();
    assert_eq!(template.render::<[Value]>(&[], false).unwrap(), "<s>0");

    let two = br#"{"chat_template": [{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}]}"#;
    let template = ChatTemplate::from_config("c", two).unwrap();
    assert_eq!(template.render::<[Value]>(&[], false).unwrap(), "d");
    let template = ChatTemplate::from_config_named("c", two, "rag").unwrap();
    assert_eq!(template.render::<[Value]>(&[], false).unwrap(), "r");
    let error = ChatTemplate::from_config_named("c", two, "tool_use").unwrap_err();
    assert_eq!(error.to_string(), "c: no chat template \"tool_use\"; there are default, rag");
    assert!(ChatTemplate::from_config("c", b"{}").unwrap_err().is_malformed());
    assert!(ChatTemplate::from_config("c", b"[").unwrap_err().is_malformed());

    let folder = tempfile::tempdir().unwrap();
    assert!(ChatTemplate::from_folder(folder.path()).unwrap_err().is_not_found());
    std::fs::write(folder.path().join("tokenizer_config.json"), one).unwrap();
    let template = ChatTemplate::from_folder(folder.path()).unwrap();
    assert_eq!(template.render::<[Value]>(&[], false).unwrap(), "<s>0");
    std::fs::write(folder.path().join("chat_template.jinja"), "own {{ bos_token }}").unwrap();
    let template = ChatTemplate::from_folder(folder.path()).unwrap();
    assert_eq!(template.render::<[Value]>(&[], false).unwrap(), "own <s>");
}

#[test]
fn sequences_are_those_of_python() {
    let golden: Vec<(String, Option<String>)> =
        serde_json::from_str(include_str!("golden/sequences.json")).unwrap();
    assert!(golden.len() > 1000);
    let mut wrong = Vec::new();
    for (source, expected) in golden {
        let template = ChatTemplate::new(&source);
        let messages = [ChatMessage::new("user", "hello")];
        let found = template.and_then(|template| template.render(&messages, true));
        if found.as_ref().ok() != expected.as_ref() {
            wrong.push(format!("{source}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
