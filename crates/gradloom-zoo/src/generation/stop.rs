//! [`Stop`]: when a text ends.

/// When a text ends.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Most new tokens.
    pub tokens_max: usize,
    /// Tokens that end a text; they are not part of it.
    pub tokens: Vec<u32>,
}

impl Stop {
    /// After so many tokens.
    pub fn after(tokens_max: usize) -> Self {
        Stop { tokens_max, tokens: Vec::new() }
    }

    /// Also at a token.
    #[must_use]
    pub fn at(mut self, token: u32) -> Self {
        self.tokens.push(token);
        self
    }
}
