//! What streams promise: whole characters, the same text as at once, stop strings wherever pieces are cut.

mod golden_data;

use golden_data::{gguf_vocabulary, load};
use gradloom_text::{EncodeOptions, StopStrings, Tokenizer};
use proptest::prelude::*;
use serde_json::json;

fn byte_level() -> Tokenizer {
    Tokenizer::from_gguf(&gguf_vocabulary(&load("gguf.json")["byte_level"]["vocabulary"])).unwrap()
}

fn sentence_piece() -> Tokenizer {
    let golden = load("gguf.json");
    Tokenizer::from_gguf(&gguf_vocabulary(&golden["sentence_piece"]["vocabulary"])).unwrap()
}

fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = tokenizer.decode_stream(true);
    let mut text = String::new();
    for &id in ids {
        text += &stream.push(id).unwrap();
    }
    text + &stream.finish().unwrap()
}

#[test]
fn characters_come_whole() {
    let tokenizer = byte_level();
    let text = "é小😀";
    let ids = tokenizer.encode(text, &EncodeOptions::new()).unwrap().ids;
    assert!(ids.len() > 3, "{ids:?}");
    let mut stream = tokenizer.decode_stream(true);
    let pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    assert!(pieces.iter().all(|piece| !piece.contains('\u{fffd}')), "{pieces:?}");
    assert_eq!(pieces.concat(), text);
    assert_eq!(stream.finish().unwrap(), "");
}

#[test]
fn what_stays_incomplete_is_marked() {
    let tokenizer = byte_level();
    let ids = tokenizer.encode("a😀", &EncodeOptions::new()).unwrap().ids;
    let cut = &ids[..ids.len() - 1];
    assert_eq!(streamed(&tokenizer, cut), "a\u{fffd}");
    assert_eq!(tokenizer.decode(cut, true).unwrap(), "a\u{fffd}");
}

#[test]
fn decoders_that_need_neighbours_use_a_window() {
    let file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": {"type": "BPEDecoder", "suffix": "</w>"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b</w>": 1, "c": 2}, "merges": []},
    });
    let tokenizer = Tokenizer::from_bytes("test", &serde_json::to_vec(&file).unwrap()).unwrap();
    let ids: Vec<u32> = (0..100).map(|index| index % 2).collect();
    assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids, true).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_survives_a_round_trip(text in "\\PC{0,40}") {
        let tokenizer = byte_level();
        let ids = tokenizer.encode(&text, &EncodeOptions::new().special_tokens(false)).unwrap().ids;
        prop_assert_eq!(&tokenizer.decode(&ids, true).unwrap(), &text);
        prop_assert_eq!(&streamed(&tokenizer, &ids), &text);
        let tokenizer = sentence_piece();
        let ids = tokenizer.encode(&text, &EncodeOptions::new().special_tokens(false)).unwrap().ids;
        prop_assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids, true).unwrap());
    }

    #[test]
    fn any_ids_stream_as_they_decode(ids in prop::collection::vec(0u32..900, 0..30)) {
        let tokenizer = byte_level();
        prop_assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids, true).unwrap());
    }

    #[test]
    fn stop_strings_do_not_depend_on_the_pieces(
        text in "[abé]{0,30}",
        stops in prop::collection::vec("[abé]{1,4}", 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| ends[cut.index(ends.len())]).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut watch = StopStrings::new(stops.clone()).unwrap();
        let mut seen = String::new();
        for pair in cuts.windows(2) {
            seen += &watch.push(&text[pair[0]..pair[1]]);
            // What was given out can no longer become part of a stop string that is found.
            prop_assert!(text.starts_with(&seen));
        }
        let stopped = watch.stopped();
        seen += &watch.finish();
        // The definition, character by character.
        let expected = ends.iter().find_map(|&end| {
            let found = stops.iter().filter(|stop| text[..end].ends_with(stop.as_str()));
            found.max_by_key(|stop| stop.len()).map(|stop| (end - stop.len(), stop.clone()))
        });
        match expected {
            Some((start, stop)) => {
                prop_assert_eq!(&seen, &text[..start]);
                prop_assert_eq!(&stops[stopped.unwrap()], &stop);
            }
            None => {
                prop_assert_eq!(seen, text);
                prop_assert_eq!(stopped, None);
            }
        }
    }
}

#[test]
fn stop_strings_hold_back_no_more_than_they_must() {
    let mut watch = StopStrings::new(["<end>", "STOP"]).unwrap();
    assert_eq!(watch.push("abc<e"), "abc");
    assert_eq!(watch.push("x"), "<ex");
    assert_eq!(watch.push("<<"), "<");
    assert_eq!(watch.push("end"), "");
    assert_eq!(watch.push("> more"), "");
    assert_eq!(watch.stopped(), Some(0));
    assert_eq!(watch.push("more"), "");
    assert_eq!(watch.finish(), "");
    assert!(StopStrings::new([""]).unwrap_err().is_invalid());
}
