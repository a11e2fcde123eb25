//! The outcome of a self-test, kept in a file beside the compiled shaders, for an adapter, its driver, its
//! features and the text of all shaders. A file that is damaged, or of another version, costs a new test.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::report::{Finding, Remedy, SelfTest};
use crate::codegen::variant::{Form, Variant, Verdict};
use crate::gpu::Gpu;
use crate::pipeline_file::{check_sum, file_of, replace};

/// First line of a file.
const HEAD: &str = "gradloom self-test 1";

fn path(gpu: &Gpu) -> Option<PathBuf> {
    let mut key = format!("{:?} {:?} {}", gpu.features, gpu.limits, gpu.info.packed_dot);
    for (name, text) in gradloom_shaders::FILES {
        let _ = write!(key, "{name} {text}");
    }
    file_of(gpu, &format!("{:016x}.tested", check_sum(key.as_bytes())))
}

/// The outcome of an earlier run.
pub(super) fn read(gpu: &Gpu) -> Option<(Verdict, SelfTest)> {
    parse(&std::fs::read_to_string(path(gpu)?).ok()?)
}

/// Keeps an outcome; without a folder for it, the next process tests again.
pub(super) fn write(gpu: &Gpu, verdict: &Verdict, report: &SelfTest) {
    let Some(path) = path(gpu) else { return };
    if let Err(error) = replace(&path, text(verdict, report).as_bytes()) {
        eprintln!(
            "gradloom: the outcome of the self-test is not kept in {}: {error}; set \
             GRADLOOM_SHADER_CACHE to another folder",
            path.display()
        );
    }
}

fn text(verdict: &Verdict, report: &SelfTest) -> String {
    let mut text = format!("{HEAD}\ncases\t{}\n", report.cases);
    for Form { template, name } in &verdict.without {
        let _ = writeln!(text, "without\t{template}\t{name}");
    }
    let list = |names: &std::collections::BTreeSet<String>| {
        names.iter().map(String::as_str).collect::<Vec<&str>>().join(",")
    };
    for Variant { template, forms, dtypes } in &verdict.refused {
        let _ = writeln!(text, "refused\t{template}\t{}\t{}", list(forms), list(dtypes));
    }
    for Finding { kernel, remedy, case, reason } in &report.findings {
        let _ = writeln!(text, "found\t{kernel}\t{remedy:?}\t{case}\t{reason}");
    }
    text + "end\n"
}

/// What [`text`] wrote; nothing if it is anything else.
fn parse(text: &str) -> Option<(Verdict, SelfTest)> {
    let mut lines = text.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let (mut verdict, mut report) = (Verdict::default(), SelfTest::default());
    let set = |list: &str| list.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
    for line in lines.by_ref() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["end"] => return lines.next().is_none().then_some((verdict, report)),
            ["cases", count] => report.cases = count.parse().ok()?,
            ["without", template, name] => {
                verdict.without.insert(Form::named(template, name)?);
            }
            ["refused", template, forms, dtypes] => {
                let template = template.to_owned();
                let variant = Variant { template, forms: set(forms), dtypes: set(dtypes) };
                verdict.refused.insert(variant);
            }
            ["found", kernel, remedy, case, reason] => {
                let remedy = match remedy {
                    "LeftOut" => Remedy::LeftOut,
                    "Refused" => Remedy::Refused,
                    _ => return None,
                };
                let [kernel, case, reason] = [kernel, case, reason].map(str::to_owned);
                report.findings.push(Finding { kernel, remedy, case, reason });
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_nothing_else() {
        let mut verdict = Verdict::default();
        verdict.without.insert(Form::named("matmul", "QUADS").unwrap());
        verdict.refused.insert(Variant {
            template: "scan".to_owned(),
            forms: ["CHUNKED".to_owned(), "REVERSE".to_owned()].into(),
            dtypes: ["f32".to_owned()].into(),
        });
        let finding = Finding {
            kernel: "matmul with QUADS".to_owned(),
            remedy: Remedy::LeftOut,
            case: "a product".to_owned(),
            reason: "element 3 of result 0 is 1e0 and should be 2e0".to_owned(),
        };
        let report = SelfTest { cases: 7, seconds: 0.0, findings: vec![finding] };
        let text = text(&verdict, &report);
        assert_eq!(parse(&text), Some((verdict, report)));
        for end in 0..text.len() - 1 {
            assert_eq!(parse(&text[..end]), None, "cut at {end}");
        }
        assert_eq!(parse(&text.replace("QUADS\n", "SQUARES\n")), None);
        assert_eq!(parse(&(text + "more\n")), None);
    }
}
