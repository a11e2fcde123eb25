//! [`Checks`]: what the environment variable `GRADLOOM_CHECK` asks for.

use std::sync::Once;

/// The words of `GRADLOOM_CHECK`, several with commas between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// `nan`: an evaluation fails at the first NaN or infinity, names the op that made it, and leaves
    /// every tensor as it was. Slow.
    pub nan: bool,
    /// `plan`: every new plan is verified, as debug builds do anyway.
    pub plan: bool,
}

impl Checks {
    /// What the environment asks for. Words that mean nothing are told once on standard error.
    pub fn from_environment() -> Checks {
        let value = std::env::var("GRADLOOM_CHECK").unwrap_or_default();
        let (checks, unknown) = Checks::parse(&value);
        static TOLD: Once = Once::new();
        if !unknown.is_empty() {
            TOLD.call_once(|| {
                let words = unknown.join(", ");
                eprintln!("GRADLOOM_CHECK: {words} means nothing; it takes nan and plan");
            });
        }
        checks
    }

    fn parse(value: &str) -> (Checks, Vec<&str>) {
        let mut checks = Checks::default();
        let mut unknown = Vec::new();
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "nan" => checks.nan = true,
                "plan" => checks.plan = true,
                _ => unknown.push(word),
            }
        }
        (checks, unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::Checks;

    #[test]
    fn words_are_told_apart() {
        assert_eq!(Checks::parse(""), (Checks::default(), vec![]));
        assert_eq!(Checks::parse("plan, nan"), (Checks { nan: true, plan: true }, vec![]));
        assert_eq!(Checks::parse("1,nan"), (Checks { nan: true, plan: false }, vec!["1"]));
    }
}
