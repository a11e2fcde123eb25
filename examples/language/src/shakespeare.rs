//! Shakespeare's works as plain text.

use examples::Failure;
use examples::options::Options;

/// What stands for all works in tiny mode: the beginning of a soliloquy.
const SOLILOQUY: &str = "To be, or not to be,--that is the question:--
Whether 'tis nobler in the mind to suffer
The slings and arrows of outrageous fortune,
Or to take arms against a sea of troubles,
And by opposing end them?

To die,--to sleep,--
No more; and by a sleep to say we end
The heartache, and the thousand natural shocks
That flesh is heir to,--'tis a consummation
Devoutly to be wish'd.

To die,--to sleep;--
To sleep! perchance to dream:--ay, there's the rub;
For in that sleep of death what dreams may come,
When we have shuffled off this mortal coil,
Must give us pause.
";

/// The works in modern spelling, one text each, in the order of their names.
///
/// # Errors
/// If they are not there; the message says how to get them.
pub fn works(options: &Options) -> Result<Vec<String>, Failure> {
    if options.tiny {
        return Ok(vec![SOLILOQUY.repeat(2), SOLILOQUY.to_owned()]);
    }
    let folder = options.data.display();
    let missing = |why: &str| format!("{folder}: {why}; run `cargo xtask assets shakespeare`");
    let entries = std::fs::read_dir(&options.data).map_err(|error| missing(&error.to_string()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.to_string_lossy().ends_with("_gut.txt"));
    paths.sort();
    if paths.is_empty() {
        return Err(missing("no works there").into());
    }
    let read = |path| {
        let bytes = std::fs::read(path)?;
        Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
    };
    paths.iter().map(read).collect()
}
