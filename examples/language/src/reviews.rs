//! Snippets of film reviews with the sign of the score that people gave them.

use std::path::Path;

use gradloom::data::random::permutation;
use gradloom::prelude::Key;

use examples::Failure;
use examples::options::Arguments;

/// A snippet and its class: 0 negative, 1 positive.
#[derive(Clone, Debug)]
pub struct Review {
    /// The snippet.
    pub text: String,
    /// 0 or 1.
    pub class: i32,
}

/// The names of the classes.
pub const CLASSES: [&str; 2] = ["negative", "positive"];

/// Reads the 10,605 snippets of Hutto and Gilbert ("VADER", 2014): lines of number, mean score and text.
/// Scores of exactly zero have no sign and are left out.
///
/// # Errors
/// If the file is not there, with how to get it, or a line is broken.
pub fn load(folder: &Path) -> Result<Vec<Review>, Failure> {
    let path = folder.join("movieReviewSnippets_GroundTruth.txt");
    let bytes = std::fs::read(&path).map_err(|error| {
        format!("{}: {error}; run `cargo xtask assets sentiment`", path.display())
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut reviews = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut parts = line.trim_end().splitn(3, '\t').skip(1);
        let score = parts.next().and_then(|score| score.parse::<f64>().ok());
        let (Some(score), Some(text)) = (score, parts.next()) else {
            let path = path.display();
            return Err(format!("{path}: line {} has no score and text", number + 1).into());
        };
        if score != 0.0 {
            reviews.push(Review { text: text.to_owned(), class: i32::from(score > 0.0) });
        }
    }
    Ok(reviews)
}

/// Reviews to learn from, `--texts` of them at most (3,000 if it is not given), and others; in tiny mode a few made-up
/// ones.
///
/// # Errors
/// As [`load`], and if the number is none.
pub fn of(arguments: &Arguments) -> Result<(Vec<Review>, Vec<Review>), Failure> {
    let all = match arguments.tiny() {
        true => tiny(),
        false => load("assets/sentiment".as_ref())?,
    };
    let (mut train, test) = split(&all, Key::new(0));
    train.truncate(arguments.number("--texts", 3000)?);
    Ok((train, test))
}

/// A few made-up snippets, to show that everything works.
pub fn tiny() -> Vec<Review> {
    let subjects = ["the film", "this story", "the cast", "every scene", "the ending", "its music"];
    let words =
        [("is wonderful", 1), ("is dull", 0), ("delights", 1), ("fails and bores us all", 0)];
    let reviews = subjects.iter().flat_map(|subject| {
        words
            .iter()
            .map(move |(word, class)| Review { text: format!("{subject} {word}"), class: *class })
    });
    reviews.collect()
}

/// A random fifth for measuring, and the rest to learn from: `(train, test)`.
pub fn split(reviews: &[Review], key: Key) -> (Vec<Review>, Vec<Review>) {
    let order = permutation(reviews.len(), key);
    let (test, train) = order.split_at(reviews.len() / 5);
    let pick = |indices: &[usize]| indices.iter().map(|&index| reviews[index].clone()).collect();
    (pick(train), pick(test))
}
