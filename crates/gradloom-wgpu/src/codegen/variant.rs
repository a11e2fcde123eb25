//! [`Variant`]: which of its forms a template takes in a dispatch, and [`Verdict`]: which of them a device
//! computes wrongly, as its self-test found.

use std::collections::BTreeSet;
use std::fmt;

use gradloom_tensor::{Error, Result};

/// Forms that a device can do without: by template, what a kernel of it is made of only where the device
/// [may](Verdict::may). `TILES` is the template as a whole, for whose work there is another one.
const OPTIONAL: [(&str, &[&str]); 10] = [
    (
        "matmul",
        &[
            "TILES",
            "LARGE",
            "LHS_VECTOR",
            "RHS_VECTOR",
            "LHS_K_FASTEST",
            "RHS_K_FASTEST",
            "SPLIT",
            "QUADS",
        ],
    ),
    (
        "matmul_bytes",
        &["TILES", "PACKED_DOT", "LHS_ALONG", "LHS_ACROSS", "RHS_ALONG", "RHS_ACROSS", "QUADS"],
    ),
    ("quantized_matmul", &["TILES"]),
    ("attention", &["TILES", "QUADS"]),
    ("attention_few", &["SPLIT", "QUADS"]),
    ("map", &["LANES"]),
    ("row", &["ROW_FASTEST", "RESIDENT", "SPLIT"]),
    ("scan", &["LINE_PER_GROUP"]),
    ("arg_sort", &["WHOLE"]),
    ("scatter_add", &["SORTED"]),
];

/// A template, the forms of it that a dispatch takes, and the dtypes that its kernel stores.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Variant {
    /// Name of the template's file.
    pub(crate) template: String,
    /// What is defined in it.
    pub(crate) forms: BTreeSet<String>,
    /// Names of dtypes.
    pub(crate) dtypes: BTreeSet<String>,
}

impl Variant {
    /// The forms that a kernel could be made without.
    pub(crate) fn optional(&self) -> impl Iterator<Item = Form> {
        let optional = OPTIONAL.iter().find(|(template, _)| *template == self.template);
        let forms = optional
            .into_iter()
            .flat_map(|&(template, forms)| forms.iter().map(move |&name| Form { template, name }));
        forms.filter(|form| self.forms.contains(form.name))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &BTreeSet<String>| {
            names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        write!(formatter, "{}", self.template)?;
        if !self.forms.is_empty() {
            write!(formatter, " with {}", list(&self.forms))?;
        }
        write!(formatter, " of {}", list(&self.dtypes))
    }
}

/// A form of a template that kernels can be made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Form {
    pub(crate) template: &'static str,
    pub(crate) name: &'static str,
}

impl Form {
    /// The form of that name.
    pub(crate) fn named(template: &str, name: &str) -> Option<Form> {
        let (template, forms) = OPTIONAL.iter().find(|(own, _)| *own == template)?;
        let name = forms.iter().find(|own| **own == name)?;
        Some(Form { template, name })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} with {}", self.template, self.name)
    }
}

/// What a device computes wrongly: forms that kernels are made without, and variants that nothing stands in
/// for, whose kernels are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) without: BTreeSet<Form>,
    pub(crate) refused: BTreeSet<Variant>,
}

impl Verdict {
    /// Whether kernels may take a form.
    pub(crate) fn may(&self, template: &str, name: &str) -> bool {
        let form = Form::named(template, name);
        debug_assert!(form.is_some(), "{template} with {name} is no optional form");
        form.is_none_or(|form| !self.without.contains(&form))
    }

    /// Fails for a variant that is computed wrongly. One that was seen to fail for some dtypes is refused
    /// to kernels that have others as well.
    pub(crate) fn check(&self, variant: &Variant) -> Result<()> {
        let same = |refused: &&Variant| {
            (&refused.template, &refused.forms) == (&variant.template, &variant.forms)
                && refused.dtypes.is_subset(&variant.dtypes)
        };
        match self.refused.iter().find(same) {
            None => Ok(()),
            Some(refused) => Err(Error::unsupported(format!(
                "its kernel `{refused}` gave wrong numbers in the self-test of this adapter; install another \
                 driver, or use the CPU device"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Variant, Verdict};

    fn variant(forms: &[&str], dtypes: &[&str]) -> Variant {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Variant { template: "scan".to_owned(), forms: set(forms), dtypes: set(dtypes) }
    }

    #[test]
    fn a_verdict_refuses_what_failed_and_not_its_neighbours() {
        let mut verdict = Verdict::default();
        verdict.refused.insert(variant(&["REVERSE"], &["f32"]));
        assert!(verdict.check(&variant(&[], &["f32"])).is_ok());
        assert!(verdict.check(&variant(&["REVERSE"], &["i32"])).is_ok());
        let error = verdict.check(&variant(&["REVERSE"], &["f16", "f32"])).unwrap_err();
        assert!(error.is_unsupported());
        assert!(error.to_string().contains("scan with REVERSE of f32"), "{error}");
    }

    #[test]
    fn only_optional_forms_can_be_left_out() {
        let variant = variant(&["LINE_PER_GROUP", "REVERSE"], &["f32"]);
        let optional: Vec<Form> = variant.optional().collect();
        assert_eq!(optional, [Form::named("scan", "LINE_PER_GROUP").unwrap()]);
        assert!(Form::named("scan", "REVERSE").is_none());
        let verdict = Verdict { without: optional.into_iter().collect(), ..Verdict::default() };
        assert!(!verdict.may("scan", "LINE_PER_GROUP") && verdict.may("map", "LANES"));
    }
}
