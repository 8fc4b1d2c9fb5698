//! Invariant: any split of a client's bytes gives the same frames, requests and fault; what is held between reads is bounded
//! whatever was announced; a head that is accepted lies within its own bytes and has no line end inside.
#![no_main]

use hostler_engine::codec::http1::{Head, Limits};
use hostler_engine::codec::http2::{
    Decoder, Event, HeaderDecoder, MAX_FRAME, PREFACE, RequestBuilder, TABLE_SIZE, check_trailer,
};
use libfuzzer_sys::fuzz_target;

const MAX_BLOCK: usize = 1_000;

/// Two frames with their headers, one gathered and one just told, and a block; a vector may have room for twice its contents.
const MAX_HELD: usize = 2 * (2 * (MAX_FRAME + 9) + MAX_BLOCK + MAX_FRAME);

/// A name and a value as long as a block says, decoded, beside the table.
const MAX_FIELDS: usize = 2 * 4 * (MAX_BLOCK + MAX_FRAME) + TABLE_SIZE;

/// What is told of the client, as text; parts of a DATA frame are joined.
#[derive(Default, PartialEq, Debug)]
struct Told {
    words: Vec<String>,
    data: Option<(u32, u32, Vec<u8>)>,
}

impl Told {
    fn say(&mut self, word: String) {
        self.end_data("");
        self.words.push(word);
    }

    fn end_data(&mut self, end: &str) {
        if let Some((stream, counted, data)) = self.data.take() {
            self.words
                .push(format!("{stream}: {counted} {data:?} {end}"));
        }
    }

    fn add_data(&mut self, stream: u32, counted: u32, data: &[u8]) {
        if self.data.as_ref().is_some_and(|data| data.0 != stream) {
            self.end_data("");
        }
        let joined = self.data.get_or_insert_with(|| (stream, 0, Vec::new()));
        joined.1 += counted;
        joined.2.extend_from_slice(data);
    }
}

fn check_head(bytes: &[u8], head: &Head) {
    assert_eq!(head.len, bytes.len());
    assert!(!head.method.is_empty() && !head.target.is_empty() && !head.path.is_empty());
    for field in &head.fields {
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        let is_name = |octet: &u8| octet.is_ascii_graphic() && *octet != b':';
        assert!(!name.is_empty() && name.iter().all(is_name));
        assert!(!name.iter().any(u8::is_ascii_uppercase));
        assert!(!value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)));
        assert_eq!(value.trim_ascii(), value);
    }
}

/// A header block as that of a request, then as trailers: what comes of it, or nothing if no later block can be decoded.
fn read_block(fields: &mut HeaderDecoder, block: &[u8], end_stream: bool) -> Option<String> {
    assert!(block.len() <= MAX_BLOCK + MAX_FRAME);
    let limits = Limits {
        request_line: 64,
        header_count: 8,
        header_size: 64,
        head_size: 400,
        body_size: 1_000,
    };
    let (mut bytes, mut head) = (Vec::new(), Head::new());
    let mut builder = RequestBuilder::new(&mut bytes, &mut head, &limits);
    let mut trailers = 0;
    let decoded = fields.decode(block, |name, value| {
        builder.field(name, value);
        trailers += usize::from(check_trailer(name, value));
    });
    let judged = builder.finish(end_stream);
    assert!(fields.held() <= MAX_FIELDS, "{}", fields.held());
    // A refused head is kept up to its limit, a line and its path beyond it.
    assert!(bytes.len() <= 2 * limits.head_size, "{}", bytes.len());
    decoded.ok()?;
    if judged.is_ok() {
        check_head(&bytes, &head);
    }
    let text = bytes.escape_ascii();
    Some(format!("{judged:?} {head:?} {text} {trailers}"))
}

/// What comes of `bytes` in reads of `step`.
fn read(bytes: &[u8], step: usize) -> Told {
    let (mut decoder, mut fields) = (Decoder::new(MAX_BLOCK), HeaderDecoder::default());
    let mut told = Told::default();
    for piece in bytes.chunks(step) {
        let mut at = 0;
        loop {
            let decoded = match decoder.decode(&piece[at..]) {
                Ok(decoded) => decoded,
                Err(fault) => {
                    told.say(format!("{fault:?}"));
                    return told;
                }
            };
            at += decoded.consumed;
            match decoded.event {
                None => break,
                Some(Event::Headers {
                    stream,
                    end_stream,
                    block,
                }) => {
                    let Some(request) = read_block(&mut fields, block, end_stream) else {
                        told.say("compression".to_owned());
                        return told;
                    };
                    told.say(format!("{stream}: {end_stream} {request}"));
                }
                Some(Event::Data {
                    stream,
                    data,
                    counted,
                    is_empty,
                    end_stream,
                }) => {
                    told.add_data(stream, counted, data);
                    if is_empty || end_stream {
                        told.end_data(&format!("{is_empty} {end_stream}"));
                    }
                }
                Some(event) => told.say(format!("{event:?}")),
            }
        }
        assert_eq!(at, piece.len());
        assert!(decoder.held() <= MAX_HELD, "{}", decoder.held());
    }
    told.end_data("");
    told
}

// Input: the size of the reads, then what follows the preface. The preface itself is tried where the first bit is set.
fuzz_target!(|data: &[u8]| {
    let Some((&step, rest)) = data.split_first() else {
        return;
    };
    let begun = [PREFACE, rest].concat();
    let bytes = if step & 0x80 == 0 { &begun } else { rest };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, usize::from(step & 0x7f).max(1)));
    assert_eq!(whole, read(bytes, 1));
});
